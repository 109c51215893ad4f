package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// A thief has a copy of a visitor's cookies, and a browser of their own to keep
// what the responses set.
type thief struct {
	t      *testing.T
	jar    *sessiontest.Jar
	answer answer
}

// rob copies the visitor's jar.
func (s *site) rob() *thief { return &thief{t: s.t, jar: s.jar.Clone()} }

// visits asks a replica for a page, and keeps what it sets.
func (f *thief) visits(s *site, path string) *thief {
	f.t.Helper()
	f.answer = s.bare(path, f.jar.Header(""))
	for _, line := range f.answer.Header.Values("Set-Cookie") {
		f.jar.Set(line)
	}
	return f
}

// who is whom a replica takes the thief for.
func (f *thief) who(s *site) string {
	f.t.Helper()
	return f.visits(s, "/read").answer.body
}

// requireEnded: no replica, however late, takes the thief for the visitor.
func (f *thief) requireEnded(sites ...*site) {
	f.t.Helper()
	for _, s := range sites {
		require.Empty(f.t, f.who(s))
	}
}

// after lets what the replicas know grow old, and more than that.
func after(s *site, d time.Duration) { s.clock.advance(d) }

// both runs a test with a session in one cookie and with one that is stored.
func both(t *testing.T, test func(t *testing.T, grow int)) {
	for name, grow := range map[string]int{"cookies": 10, "stored": 60_000} {
		t.Run(name, func(t *testing.T) { test(t, grow) })
	}
}

// withoutIdle lets copies live until the absolute lifetime ends.
func withoutIdle(s *setup) { s.IdleTimeout = -1 }

func TestStolenJarAfterALogout(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2, withoutIdle)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		stolen := a.rob()
		require.Equal(t, "ada", stolen.who(b))
		require.Equal(t, 200, a.get("/logout").StatusCode)
		stolen.requireEnded(a)
		after(a, middleware.DefaultRevocationMaxAge)
		stolen.requireEnded(a, b)
		for range 24 { // until its end, be it that nobody asked meanwhile
			after(a, time.Hour)
			stolen.requireEnded(b)
		}
	})
}

func TestStolenJarAfterRevokeSubject(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2, withoutIdle)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		stolen := a.rob()
		require.Equal(t, "ada", stolen.who(b))
		require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
		stolen.requireEnded(a)
		after(a, middleware.DefaultRevocationMaxAge)
		stolen.requireEnded(a, b)
		a.get("/bind?user=ada")
		require.Equal(t, "ada", a.who())
		stolen.requireEnded(a, b)
		after(a, 23*time.Hour)
		stolen.requireEnded(a, b)
	})
}

// What a replica does not know yet, it does for RevocationMaxAge and no longer,
// however often it is asked meanwhile.
func TestStolenJarAtAStaleReplica(t *testing.T) {
	for name, end := range map[string]func(s *site) error{
		"logout":  func(s *site) error { s.get("/logout"); return nil },
		"session": func(s *site) error { return s.sessions.Revoke(context.Background(), s.get("/id").body) },
		"subject": func(s *site) error { return s.sessions.RevokeSubject(context.Background(), "ada") },
	} {
		t.Run(name, func(t *testing.T) {
			sites, _ := sharing(t, 2, config(func(c *middleware.Config) { c.RevocationMaxAge = 4 * time.Second }))
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada")
			stolen := a.rob()
			require.Equal(t, "ada", stolen.who(b))
			require.NoError(t, end(a))
			for range 3 {
				after(a, time.Second)
				require.Equal(t, "ada", stolen.who(b), "stale, as stated")
			}
			after(a, time.Second)
			stolen.requireEnded(b)
		})
	}
}

// A thief who meets a replica that does not know yet must not get a session out
// of it that outlives the one that was ended.
func TestStolenJarIsNotRenewedAtAStaleReplica(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		for name, end := range map[string]func(s *site) error{
			"logout":  func(s *site) error { s.get("/logout"); return nil },
			"renewal": func(s *site) error { s.get("/login?user=ada"); return nil },
			"session": func(s *site) error { return s.sessions.Revoke(context.Background(), s.get("/id").body) },
			"subject": func(s *site) error { return s.sessions.RevokeSubject(context.Background(), "ada") },
		} {
			for _, way := range []string{"/login?user=thief", "/bind?user=thief", "/terms"} {
				t.Run(name+way, func(t *testing.T) {
					sites, _ := sharing(t, 2)
					a, b := sites[0], sites[1]
					a.get("/bind?user=ada")
					a.grow("a", grow)
					stolen := a.rob()
					require.Equal(t, "ada", stolen.who(b))
					require.NoError(t, end(a))
					stolen.visits(b, way)
					after(a, middleware.DefaultRevocationMaxAge)
					for _, s := range sites {
						require.NotEqual(t, "ada", stolen.who(s))
						require.Equal(t, "0", stolen.visits(s, "/get?name=a").answer.body)
					}
				})
			}
		}
	})
}

// Nor by a request that was begun before the end and is held open until after it.
func TestStolenJarIsNotRenewedByARequestHeldOpen(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		for _, way := range []string{"renew", "bind"} {
			t.Run(way, func(t *testing.T) {
				sites, _ := sharing(t, 2)
				a, b := sites[0], sites[1]
				a.get("/bind?user=ada")
				a.grow("a", grow)
				_, x := b.sessions.Begin(t.Context(), middleware.Request{Method: "POST", Cookies: []string{a.header()}})
				s := session.From(x)
				name, _ := user.Get(s)
				require.Equal(t, "ada", name)

				require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
				if way == "bind" {
					s.Bind("somebody else")
				} else {
					s.Renew()
				}
				user.Set(s, "mallory")
				out, err := x.Commit(t.Context(), middleware.Response{Status: 200})
				require.ErrorIs(t, err, session.ErrEnded)
				require.Empty(t, out.SetCookie)
				require.NoError(t, x.Finish(t.Context()))
			})
		}
	})
}

// A login over a session that has been ended elsewhere a moment ago is refused
// with an answer that says so, and goes through when it is sent again.
func TestLoginOverASessionThatWasJustEnded(t *testing.T) {
	sites, _ := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.get("/bind?user=ada")
	browser := a.rob()
	require.Equal(t, "ada", browser.who(b))
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	b.events.forget()
	require.Equal(t, http.StatusConflict, browser.visits(b, "/bind?user=ada").answer.StatusCode)
	failed := b.events.of(middleware.EventFailed)
	require.Len(t, failed, 1)
	require.Equal(t, reason.Revoked, failed[0].Reason)
	require.Equal(t, http.StatusOK, browser.visits(b, "/bind?user=ada").answer.StatusCode)
	require.Equal(t, "ada", browser.who(b))
	require.Equal(t, "ada", browser.who(a))
}

// Two logins at once, over a session that nobody is logged into: one counts,
// and neither is refused.
func TestTwoLoginsAtOnceOverAnAnonymousSession(t *testing.T) {
	sites, _ := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.grow("a", 10)
	other := a.rob()
	require.Equal(t, "10", other.visits(b, "/get?name=a").answer.body)
	require.Equal(t, 200, a.get("/bind?user=ada").StatusCode)
	require.Equal(t, 200, other.visits(b, "/bind?user=ada").answer.StatusCode)
	require.Equal(t, "ada", other.who(a))
	require.Equal(t, "10", other.visits(a, "/get?name=a").answer.body)
}

// Programs renew ids in passing: those who do it at once get no error.
func TestRenewalsAtOnce(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		var held []*middleware.Exchange
		for _, s := range []*site{a, a, b} {
			_, x := s.sessions.Begin(t.Context(), middleware.Request{Method: "GET", Cookies: []string{a.header()}})
			session.From(x).Renew()
			held = append(held, x)
		}
		for _, x := range held {
			out, err := x.Commit(t.Context(), middleware.Response{Status: 200})
			require.NoError(t, err)
			require.NoError(t, x.Finish(t.Context()))
			for _, line := range out.SetCookie {
				a.jar.Set(line)
			}
		}
		require.Equal(t, "ada", a.who())
		require.Equal(t, fmt.Sprint(grow), a.length("a"))
	})
}

// How often the store is asked by what ends sessions, as docs/stores.md has it.
func TestStoreCallsOfRenewals(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	calls := func(path string) int {
		store.since()
		a.get(path)
		return len(store.since())
	}
	require.Equal(t, 1, calls("/bind?user=ada"), "over no session")
	a.forget()
	a.get("/set?user=ada")
	for _, at := range []struct {
		size, read, renew, bind int
	}{{10, 0, 2, 3}, {60_000, 1, 4, 5}} {
		a.forget()
		a.grow("a", at.size)
		a.who()
		require.Equal(t, at.read, calls("/read"))
		require.Equal(t, at.renew, calls("/terms"))
		a.who()
		require.Equal(t, at.bind, calls("/bind?user=ada"))
		a.who()
		require.Equal(t, at.renew+1, calls("/terms"), "and for its subject")
		a.who()
		require.Equal(t, at.bind+1, calls("/bind?user=ada"))
		a.who()
		require.Equal(t, at.read+1, calls("/logout"))
	}
}

// A copy from when the session was small, one from when it was in the store, and
// one from after it came back: one logout ends them all, and so does a renewal.
func TestStolenJarsOfAllAgesOfASession(t *testing.T) {
	for _, end := range []string{"/logout", "/login?user=ada", "/bind?user=ada"} {
		for name, grow := range map[string]int{"stored": 60_000, "back": 5} {
			t.Run(name+end, func(t *testing.T) {
				sites, _ := sharing(t, 3, withoutIdle)
				a, b, unasked := sites[0], sites[1], sites[2]
				a.get("/bind?user=ada")
				small := a.rob()
				a.grow("a", 60_000)
				stored := a.rob()
				a.grow("a", grow)
				last := a.rob()
				a.get(end)
				for _, d := range []time.Duration{middleware.DefaultRevocationMaxAge, 20 * time.Minute, 3 * time.Hour, 20 * time.Hour} {
					after(a, d)
					small.requireEnded(a, b)
					stored.requireEnded(a, b)
					last.requireEnded(a, b)
				}
				small.requireEnded(unasked)
				stored.requireEnded(unasked)
				last.requireEnded(unasked)
			})
		}
	}
}

// A logout of a browser that slept for longer than the idle timeout ends the copy
// that was kept awake, too.
func TestStolenJarThatWasKeptAwake(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		stolen := a.rob()
		for range 3 {
			after(a, 70*time.Minute)
			require.Equal(t, "ada", stolen.who(b))
		}
		require.Equal(t, 200, a.get("/logout").StatusCode)
		after(a, middleware.DefaultRevocationMaxAge)
		stolen.requireEnded(a, b)
	})
}

// So does a logout of a browser that has lost a part of the session.
func TestStolenJarWhoseOwnerHasLostCookies(t *testing.T) {
	sites, _ := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.get("/bind?user=ada")
	after(a, 10*time.Minute)
	cell := a.grow("a", 1500).Cookies()[1].Name
	after(a, 10*time.Minute)
	a.grow("b", 10) // by a writer that has seen a
	stolen := a.rob()
	require.Equal(t, "ada", stolen.who(b))
	require.True(t, a.jar.Evict(cell))
	require.Equal(t, reason.Torn.String(), a.get("/read").Header.Get("X-Reason"))
	require.Equal(t, 200, a.get("/logout").StatusCode)
	after(a, middleware.DefaultRevocationMaxAge)
	stolen.requireEnded(a, b)
}
