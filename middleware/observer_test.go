package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

func TestLoadedSaysWhoCame(t *testing.T) {
	s := newSite(t, app)
	s.get("/set?user=ada")
	first := s.events.of(middleware.EventLoaded)
	require.Equal(t, []middleware.Event{{Kind: middleware.EventLoaded, Reason: reason.Absent}}, first)
	committed := s.events.of(middleware.EventCommitted)
	require.Len(t, committed, 1)
	require.Equal(t, 1, committed[0].Set)
	require.Len(t, committed[0].SessionID, 22)
	require.Greater(t, committed[0].Bytes, s.cookie().Size())

	s.events.forget()
	s.get("/read")
	all := s.events.of("")
	require.Len(t, all, 1, "a read is one event")
	require.Equal(t, middleware.EventLoaded, all[0].Kind)
	require.Equal(t, reason.None, all[0].Reason)
	require.Equal(t, committed[0].SessionID, all[0].SessionID)
	require.Zero(t, all[0].Cells, "all entries are in the head")
	require.InDelta(t, s.cookie().Size(), all[0].Bytes, 4, "name, =, value and separator")

	s.get("/set?user=eve")
	s.events.forget()
	s.get("/read")
	loaded := s.events.of(middleware.EventLoaded)
	require.Len(t, loaded, 1)
	require.Equal(t, 1, loaded[0].Cells, "the changed entry is in a cell")
	require.InDelta(t, len(s.header()), loaded[0].Bytes, 4)
}

func TestCommittedTellsSessionsApart(t *testing.T) {
	s := newSite(t, app)
	for _, path := range []string{"/set?user=ada", "/set?user=eve", "/login?user=eve", "/logout"} {
		s.get(path)
	}
	c := s.events.of(middleware.EventCommitted)
	require.Len(t, c, 4)
	require.Equal(t, c[0].SessionID, c[1].SessionID, "a change keeps the id")
	require.NotEqual(t, c[1].SessionID, c[2].SessionID, "a renewal changes the id")
	require.Equal(t, []int{1, 2, 1, 1}, []int{c[0].Set, c[1].Set, c[2].Set, c[3].Set}, "the change moves the head, too")
	require.Equal(t, []int{0, 1, 2, 1}, []int{c[0].Expired, c[1].Expired, c[2].Expired, c[3].Expired})
}

// Each reason for refusing a cookie has a name of its own, in the event, in
// Session.Reason and in the event of the load.
func TestEveryRefusalHasItsReason(t *testing.T) {
	type situation struct {
		s           *site
		name, value string
	}
	for want, cookies := range map[reason.Reason]func(in situation) string{
		reason.Malformed:     func(in situation) string { return in.name + "=" + in.value[:20] + "!" + in.value[21:] },
		reason.UnknownFormat: func(in situation) string { return in.name + "=B" + in.value[1:] },
		reason.BadSeal: func(in situation) string {
			return in.name + "=" + in.value[:60] + strings.Repeat("A", 8) + in.value[68:]
		},
		reason.Expired: func(in situation) string {
			in.s.clock.advance(24 * time.Hour)
			return in.name + "=" + in.value
		},
		reason.ExpiredIdle: func(in situation) string {
			in.s.clock.advance(3 * time.Hour)
			return in.name + "=" + in.value
		},
	} {
		t.Run(want.String(), func(t *testing.T) {
			s, name, value := loggedIn(t)
			cookie := cookies(situation{s, name, value})
			s.events.forget()
			a := s.bare("/read", cookie)
			require.Equal(t, want.String(), a.Header.Get("X-Reason"))
			refused := s.events.of(middleware.EventRefused)
			require.Len(t, refused, 1)
			require.Equal(t, want, refused[0].Reason)
			loaded := s.events.of(middleware.EventLoaded)
			require.Len(t, loaded, 1)
			require.Equal(t, want, loaded[0].Reason)
			require.Zero(t, loaded[0].Cells)
		})
	}
}

// A cookie that was truncated may be one whose other pieces are missing.
func TestCutCookiesAreTornOrTooShort(t *testing.T) {
	s, name, value := loggedIn(t)
	a := s.bare("/read", name+"="+value[:len(value)-8])
	require.Contains(t, []reason.Reason{reason.WrongLength, reason.Torn, reason.Malformed}, reasonIn(t, a))
	a = s.bare("/read", name+"="+value[:8])
	require.Contains(t, []reason.Reason{reason.WrongLength, reason.Torn, reason.TooLarge}, reasonIn(t, a))
}

func TestReplacedSessionsAreSuperseded(t *testing.T) {
	s, name, value := loggedIn(t)
	s.get("/login?user=grace")
	s.jar.Put(name, value)
	s.events.forget()
	require.Equal(t, "grace", s.who())
	refused := s.events.of(middleware.EventRefused)
	require.Len(t, refused, 1)
	require.Equal(t, reason.Superseded, refused[0].Reason)
	require.NotEqual(t, s.events.of(middleware.EventLoaded)[0].SessionID, refused[0].SessionID)
	require.Equal(t, reason.None, s.events.of(middleware.EventLoaded)[0].Reason)
}

// A first read after the header was sent is reported, because a personal page may
// have been sent without Vary and Cache-Control.
func TestFirstReadAfterTheHeader(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		name, _ := user.Get(session.From(r.Context()))
		_, _ = user.Get(session.From(r.Context()))
		_, _ = io.WriteString(w, name)
	})
	a := s.get("/")
	require.Empty(t, a.Header["Vary"])
	require.Len(t, s.events.of(middleware.EventLateRead), 1)
	require.Empty(t, s.events.of(middleware.EventLateChange))
}

// causeEveryEvent causes events of every kind. It returns them, and the values that
// must not be in them.
func causeEveryEvent(t *testing.T) (all []middleware.Event, secrets []string) {
	const secret = "geheimnis-8472"
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		switch r.URL.Path {
		case "/late":
			w.WriteHeader(200)
			user.Set(s, secret)
		case "/hijack":
			user.Set(s, secret+"-hijacked")
			hijackAndRespond(t, w)
		case "/large":
			note.Set(s, secret+huge)
		case "/odd":
			session.Key[map[string]any]("odd").Set(s, map[string]any{secret: make(chan int)})
		case "/public":
			w.Header().Set("Cache-Control", "public")
			user.Set(s, secret+"-public")
		default:
			app(w, r)
		}
	})
	visit := func(path string) {
		s.get(path)
		for _, c := range s.jar.All() {
			secrets = append(secrets, c.Value[16:])
		}
	}
	visit("/login?user=" + secret)
	first := s.cookie()
	for _, path := range []string{"/late", "/hijack", "/large", "/odd", "/public", "/login?user=" + secret} {
		visit(path)
	}
	s.jar.Put(first.Name, first.Value)
	visit("/read")
	foreign := newSite(t, app)
	foreign.get("/login?user=" + secret)
	for i, damage := range []string{first.Value[:80] + "AAAA" + first.Value[84:], first.Value[:80], "!" + first.Value, foreign.cookie().Value} {
		s.bare("/read", "__Host-session."+suffixOf(i)+"="+damage)
		s.bare("/set?user="+secret, "__Host-session."+suffixOf(i)+"="+damage)
	}
	visit("/logout")
	return s.events.of(""), append(secrets, secret, "geheimnis", first.Value[16:], foreign.cookie().Value[16:])
}

func TestEventsCarryNoValues(t *testing.T) {
	all, secrets := causeEveryEvent(t)
	seen := map[middleware.EventKind]bool{}
	for _, e := range all {
		seen[e.Kind] = true
		text := fmt.Sprintf("%+v %#v %v", e, e, e.Err)
		for _, secret := range secrets {
			require.NotContains(t, text, secret)
			require.NotContains(t, text, secret[:min(len(secret), 24)])
		}
	}
	for _, kind := range []middleware.EventKind{
		middleware.EventLoaded, middleware.EventRefused, middleware.EventCommitted, middleware.EventFailed,
		middleware.EventLateChange, middleware.EventLateRead, middleware.EventUncached, middleware.EventHijacked,
	} {
		require.True(t, seen[kind], "causeEveryEvent causes no %q event", kind)
	}
}

func TestNoObserver(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		app(w, r)
		w.WriteHeader(200)
		note.Set(session.From(r.Context()), "late")
	}, config(func(c *middleware.Config) { c.Observer = nil }))
	s.get("/login?user=ada")
	s.get("/set?user=" + strings.Repeat("x", 100))
	s.get("/logout")
	s.bare("/read", "__Host-session.aaaaaaaaaa=x")
}

type tenant struct{}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return
}

// An observer, or a log handler that it calls, may look for the session in its
// context. It finds none, because the session is locked.
func TestObserverCannotLockItselfOut(t *testing.T) {
	var s *site
	var tenants []any
	observer := func(ctx context.Context, _ middleware.Event) {
		if _, ok := session.Lookup(ctx); ok {
			t.Error("the observer can get the session, which would deadlock")
		}
		tenants = append(tenants, ctx.Value(tenant{}))
		if !panics(func() { s.sessions.From(ctx) }) {
			t.Error("the observer can get the session by Sessions.From, which would deadlock")
		}
	}
	s = newSite(t, func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r.Context()).Load(context.WithValue(r.Context(), tenant{}, "inner")))
		app(w, r)
		w.WriteHeader(200)
		note.Set(session.From(r.Context()), "late")
	}, config(func(c *middleware.Config) { c.Observer = observer }), outside(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tenant{}, "outer")))
		})
	}))
	s.get("/login?user=ada")
	require.Equal(t, []any{"inner", "outer", "outer"}, tenants, "for the load, the commit and the late change")
}
