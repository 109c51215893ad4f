package sessiontest

import (
	"context"
	"net/http"
	"testing"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// Forge puts a session of m into a request that no browser sent: fill does to it
// what an earlier request's handler would have done, with all that follows from
// it (the limits, the store). What the request carries already goes on. The
// cookies are real ones; [New] makes a session without any.
//
//	r := httptest.NewRequest("GET", "/account", nil)
//	sessiontest.Forge(t, sessions, r, func(s *session.Session) { user.Set(s, "张三") })
//	handler.ServeHTTP(w, r)
//
// It fails the test where the session cannot be written.
func Forge(t testing.TB, m *middleware.Sessions, r *http.Request, fill func(*session.Session)) {
	t.Helper()
	kept := after(r.Header["Cookie"], setCookies(t, m, r.Header["Cookie"], fill))
	r.Header.Del("Cookie")
	for _, c := range kept {
		r.AddCookie(c)
	}
}

// Left is the session of m with which the browser that sent r goes on after the
// response, as its next request would see it: to be read. Changes of it go
// nowhere. The cookies' attributes are not looked at; a [Jar] does that.
func Left(t testing.TB, m *middleware.Sessions, r *http.Request, response *http.Response) *session.Session {
	t.Helper()
	next := &http.Request{Header: http.Header{}}
	for _, c := range after(r.Header["Cookie"], response.Header["Set-Cookie"]) {
		next.AddCookie(c)
	}
	return begin(t, m, next.Header["Cookie"])
}

// Forge is the function of that name for this browser, on its own page.
func (j *Jar) Forge(t testing.TB, m *middleware.Sessions, fill func(*session.Session)) {
	t.Helper()
	r := j.Request(http.MethodGet, "/", nil)
	j.Receive(r, http.Header{"Set-Cookie": setCookies(t, m, r.Header["Cookie"], fill)})
}

// Session is the session of m that the browser has, as its next request would
// see it: to be read. Changes of it go nowhere.
func (j *Jar) Session(t testing.TB, m *middleware.Sessions) *session.Session {
	t.Helper()
	return begin(t, m, j.Request(http.MethodGet, "/", nil).Header["Cookie"])
}

// begin is a request that is never answered.
func begin(t testing.TB, m *middleware.Sessions, cookies []string) *session.Session {
	ctx, _ := m.Begin(contextOf(t), middleware.Request{Method: http.MethodGet, Cookies: cookies})
	return m.From(ctx)
}

// setCookies are the Set-Cookie lines of a request in which fill is the handler.
func setCookies(t testing.TB, m *middleware.Sessions, cookies []string, fill func(*session.Session)) []string {
	t.Helper()
	ctx, x := m.Begin(contextOf(t), middleware.Request{Method: http.MethodGet, Cookies: cookies})
	fill(m.From(ctx))
	fields, err := x.Commit(ctx, middleware.Response{Status: http.StatusOK})
	if err == nil {
		err = x.Finish(ctx)
	}
	if err != nil {
		t.Fatalf("the session of this test cannot be written: %v", err)
	}
	return fields.SetCookie
}

// contextOf is the test's context; a T that no test runs, as examples have it, has
// none.
func contextOf(t testing.TB) context.Context {
	if ctx := t.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// after are the cookies of a browser that had some and has got Set-Cookie lines.
func after(had, lines []string) (kept []*http.Cookie) {
	for _, field := range had {
		cookies, err := http.ParseCookie(field)
		if err == nil {
			kept = append(kept, cookies...)
		}
	}
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			continue // no browser keeps it
		}
		kept = without(kept, c.Name)
		if c.MaxAge >= 0 {
			kept = append(kept, &http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return kept
}

func without(cookies []*http.Cookie, name string) (rest []*http.Cookie) {
	for _, c := range cookies {
		if c.Name != name {
			rest = append(rest, c)
		}
	}
	return rest
}
