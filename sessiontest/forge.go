package sessiontest

import (
	"context"
	"net/http"
	"testing"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// Forge puts a session of m into a request. fill changes the session like a
// handler of an earlier request, with all consequences such as limits and the
// store. A session that the request already carries is kept and changed. The
// cookies are real; [New] returns a session without cookies.
//
//	r := httptest.NewRequest("GET", "/account", nil)
//	sessiontest.Forge(t, sessions, r, func(s *session.Session) { user.Set(s, "张三") })
//	handler.ServeHTTP(w, r)
//
// Forge fails the test if the session cannot be written.
func Forge(t testing.TB, m *middleware.Sessions, r *http.Request, fill func(*session.Session)) {
	t.Helper()
	kept := after(r.Header["Cookie"], setCookies(t, m, r.Header["Cookie"], fill))
	r.Header.Del("Cookie")
	for _, c := range kept {
		r.AddCookie(c)
	}
}

// Left returns the session of m after the response, as the next request of the
// browser that sent r would see it. It is for reading only: changes are not
// saved. Left ignores the cookies' attributes; a [Jar] applies them.
func Left(t testing.TB, m *middleware.Sessions, r *http.Request, response *http.Response) *session.Session {
	t.Helper()
	next := &http.Request{Header: http.Header{}}
	for _, c := range after(r.Header["Cookie"], response.Header["Set-Cookie"]) {
		next.AddCookie(c)
	}
	return begin(t, m, next.Header["Cookie"])
}

// Forge puts a session of m into the jar, as the function [Forge] does for a
// request. The session is set from the jar's own page.
func (j *Jar) Forge(t testing.TB, m *middleware.Sessions, fill func(*session.Session)) {
	t.Helper()
	r := j.Request(http.MethodGet, "/", nil)
	j.Receive(r, http.Header{"Set-Cookie": setCookies(t, m, r.Header["Cookie"], fill)})
}

// Session returns the session of m that the browser has, as its next request
// would see it. It is for reading only: changes are not saved.
func (j *Jar) Session(t testing.TB, m *middleware.Sessions) *session.Session {
	t.Helper()
	return begin(t, m, j.Request(http.MethodGet, "/", nil).Header["Cookie"])
}

// begin starts a request that never gets a response.
func begin(t testing.TB, m *middleware.Sessions, cookies []string) *session.Session {
	ctx, _ := m.Begin(contextOf(t), middleware.Request{Method: http.MethodGet, Cookies: cookies})
	return m.From(ctx)
}

// setCookies returns the Set-Cookie lines of a request whose handler is fill.
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

// contextOf returns the test's context. A T that no test runs, as in examples,
// has none.
func contextOf(t testing.TB) context.Context {
	if ctx := t.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// after returns the cookies of a browser that had some and received Set-Cookie
// lines.
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
			continue // browsers drop it
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
