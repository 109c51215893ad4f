package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func newSessions(t testing.TB, options ...func(*middleware.Config)) *middleware.Sessions {
	c := middleware.Config{Keys: newRing(t), Clock: (&clock{now: noon}).Now}
	for _, o := range options {
		o(&c)
	}
	m, err := middleware.New(c)
	require.NoError(t, err)
	return m
}

func TestCommitIsCalledOnce(t *testing.T) {
	ctx, x := newSessions(t).Begin(t.Context(), middleware.Request{Method: http.MethodGet})
	user.Set(session.From(ctx), "ada")
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	require.Len(t, fields.SetCookie, 1)
	fields, err = x.Commit(ctx, middleware.Response{Status: 200})
	require.ErrorContains(t, err, "Commit was called twice")
	require.Empty(t, fields)
	require.NoError(t, x.Finish(ctx))
}

// A request that does not use the session takes another path in Commit. There,
// too, a second call fails, and Vary is set if the page could differ for other
// visitors.
func TestCommitOfNothingIsCalledOnce(t *testing.T) {
	for name, read := range map[string]bool{"unusedByRequest": false, "read": true} {
		t.Run(name, func(t *testing.T) {
			ctx, x := newSessions(t).Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{"other=1; a__Host-session.b=2"}})
			if read {
				_, _ = user.Get(session.From(ctx))
			}
			fields, err := x.Commit(ctx, middleware.Response{Status: 200})
			require.NoError(t, err)
			require.Equal(t, middleware.Fields{Vary: read}, fields)
			_, err = x.Commit(ctx, middleware.Response{Status: 200})
			require.ErrorContains(t, err, "Commit was called twice")
			require.NoError(t, x.Finish(ctx))
		})
	}
}

func TestHandlerOfNothingVaries(t *testing.T) {
	h := newSessions(t).Handler(http.HandlerFunc(caching)) // without an observer
	for do, want := range map[string][]string{"": nil, "read": {"Cookie"}, "reason": {"Cookie"}, "delete": {"Cookie"}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at(do), nil))
		require.Equal(t, want, w.Header()["Vary"], do)
		require.Empty(t, w.Header()["Set-Cookie"])
		require.Empty(t, w.Header()["Cache-Control"])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at("read")+"&vary=Accept", nil))
	require.Equal(t, []string{"Accept", "Cookie"}, w.Header()["Vary"])
}

func TestFinishTellsOfLateChanges(t *testing.T) {
	ctx, x := newSessions(t).Begin(t.Context(), middleware.Request{Method: http.MethodGet})
	_, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	user.Set(session.From(ctx), "ada")
	require.ErrorIs(t, x.Finish(ctx), session.ErrLate)
}

// Begin uses neither the clock nor the keys. They are first used when the session
// is.
func TestBeginIsLazy(t *testing.T) {
	made := false // New uses both
	m := newSessions(t, func(c *middleware.Config) {
		c.Clock, c.Keys = func() time.Time { return unusedByRequest(made, noon) }, quietly(func() *keyring.Ring { return unusedByRequest(made, (*keyring.Ring)(nil)) })
	})
	made = true
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{"__Host-session.aaaaaaaaaa=x"}})
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	require.Empty(t, fields)
	require.NoError(t, x.Finish(ctx))
}

// unusedByRequest returns v while New runs, and panics if a request uses it.
func unusedByRequest[T any](made bool, v T) T {
	if made {
		panic("a request has used the clock or the keys before the session")
	}
	return v
}

type quietly func() *keyring.Ring

func (f quietly) Ring(context.Context) *keyring.Ring { return f() }

// A visitor who disconnects does not undo a write.
func TestCommitDoesNotNeedTheVisitor(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	ctx, x := newSessions(t).Begin(gone, middleware.Request{Method: http.MethodPost})
	leave()
	user.Set(session.From(ctx), "ada")
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	require.Len(t, fields.SetCookie, 1)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "Commit had the request's context")
}

// A panic during a commit leaves a session that can still be used.
func TestPanickingObserver(t *testing.T) {
	broken := false
	m := newSessions(t, func(c *middleware.Config) {
		c.Observer = func(context.Context, middleware.Event) {
			if broken {
				panic("observer")
			}
		}
	})
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodGet})
	user.Set(session.From(ctx), "ada")
	broken = true
	require.Panics(t, func() { _, _ = x.Commit(ctx, middleware.Response{Status: 200}) })
	name, ok := user.Get(session.From(ctx))
	require.True(t, ok)
	require.Equal(t, "ada", name)
}

// FuzzCookieHeader sends any Cookie header. No visitor may be recognised, nothing
// may panic, and the response's cookies must be valid.
func FuzzCookieHeader(f *testing.F) {
	m := newSessions(f)
	ctx, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodGet})
	user.Set(session.From(ctx), "ada")
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(f, err)
	good, _, _ := strings.Cut(fields.SetCookie[0], ";")
	name, value, _ := strings.Cut(good, "=")
	f.Add(good, "")
	f.Add("a=1; "+name+`="`+value+`"`, name+".1="+value)
	f.Add(name+"="+value[:80]+"; "+name+".1="+value[80:], good)
	f.Add(name+".63=x; "+name+".64=x; "+name+".01=x; "+name+".=x", ";;=;")
	f.Fuzz(func(t *testing.T, one, two string) {
		ctx, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodGet, Cookies: []string{one, two}})
		s := session.From(ctx)
		if who, ok := user.Get(s); ok && (who != "ada" || !strings.Contains(one+two, value[:40])) {
			t.Fatalf("a visitor is recognised: %q", who)
		}
		s.Renew()
		user.Set(s, "bob")
		fields, err := x.Commit(ctx, middleware.Response{Status: 200})
		if err != nil {
			require.ErrorIs(t, err, session.ErrTooLarge)
			return
		}
		for _, line := range fields.SetCookie {
			require.False(t, strings.ContainsAny(line, "\r\n\x00"), line)
			require.True(t, strings.HasPrefix(line, "__Host-session."), line)
		}
	})
}
