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

// thief is an attacker with a copy of a visitor's cookies, and with a browser that
// keeps the cookies of responses.
type thief struct {
	t      *testing.T
	jar    *sessiontest.Jar
	answer answer
}

// stealJar returns a thief with a copy of the visitor's jar.
func (s *site) stealJar() *thief { return &thief{t: s.t, jar: s.jar.Clone()} }

// visits requests a page from a replica, and keeps the cookies that the response
// sets.
func (f *thief) visits(s *site, path string) *thief {
	f.t.Helper()
	f.answer = s.bare(path, f.jar.Header(""))
	for _, line := range f.answer.Header.Values("Set-Cookie") {
		f.jar.Set(line)
	}
	return f
}

// who returns the user's name that a replica reads from the thief's cookies.
func (f *thief) who(s *site) string {
	f.t.Helper()
	return f.visits(s, "/read").answer.body
}

// requireEnded checks that no replica recognises the thief's cookies, at any later
// time.
func (f *thief) requireEnded(sites ...*site) {
	f.t.Helper()
	for _, s := range sites {
		require.Empty(f.t, f.who(s))
	}
}

// after advances the clock by d.
func after(s *site, d time.Duration) { s.clock.advance(d) }

// both runs a test with a session in one cookie and with a stored session.
func both(t *testing.T, test func(t *testing.T, grow int)) {
	for name, grow := range map[string]int{"cookies": 10, "stored": 60_000} {
		t.Run(name, func(t *testing.T) { test(t, grow) })
	}
}

// withoutIdle removes the idle timeout, so that copies stay valid until the
// session expires.
func withoutIdle(s *setup) { s.Lifetimes.Idle = -1 }

func TestStolenJarAfterALogout(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2, withoutIdle)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		stolen := a.stealJar()
		require.Equal(t, "ada", stolen.who(b))
		require.Equal(t, 200, a.get("/logout").StatusCode)
		stolen.requireEnded(a)
		after(a, middleware.DefaultRevocationMaxAge)
		stolen.requireEnded(a, b)
		for range 24 { // until the session would expire, also without requests in between
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
		stolen := a.stealJar()
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

// A replica with a stale status accepts a stolen copy for RevocationMaxAge at
// most, however often it is asked meanwhile.
func TestStolenJarAtAStaleReplica(t *testing.T) {
	for name, end := range map[string]func(s *site) error{
		"logout":  func(s *site) error { s.get("/logout"); return nil },
		"session": func(s *site) error { return s.sessions.Revoke(context.Background(), s.get("/id").body) },
		"subject": func(s *site) error { return s.sessions.RevokeSubject(context.Background(), "ada") },
	} {
		t.Run(name, func(t *testing.T) {
			sites, _ := sharing(t, 2, config(func(c *middleware.Config) { c.Fallback.RevocationMaxAge = 4 * time.Second }))
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada")
			stolen := a.stealJar()
			require.Equal(t, "ada", stolen.who(b))
			require.NoError(t, end(a))
			for range 3 {
				after(a, time.Second)
				require.Equal(t, "ada", stolen.who(b), "the status is stale")
			}
			after(a, time.Second)
			stolen.requireEnded(b)
		})
	}
}

// A replica with a stale status must not renew a stolen session: the new session
// would outlive the ended one.
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
					stolen := a.stealJar()
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

// Nor does a request renew a stolen session if it began before the session's end
// and commits after it.
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
					s.Login("somebody else")
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

// A login in a session that another replica has just ended gets an error with a
// status that says so. The repeated login succeeds.
func TestLoginOverASessionThatWasJustEnded(t *testing.T) {
	sites, _ := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.get("/bind?user=ada")
	browser := a.stealJar()
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

// Of two parallel logins in a session without a subject, one counts, and neither
// gets an error.
func TestTwoLoginsAtOnceOverAnAnonymousSession(t *testing.T) {
	sites, _ := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.grow("a", 10)
	other := a.stealJar()
	require.Equal(t, "10", other.visits(b, "/get?name=a").answer.body)
	require.Equal(t, 200, a.get("/bind?user=ada").StatusCode)
	require.Equal(t, 200, other.visits(b, "/bind?user=ada").answer.StatusCode)
	require.Equal(t, "ada", other.who(a))
	require.Equal(t, "10", other.visits(a, "/get?name=a").answer.body)
}

// Some programs renew the id often. Parallel renewals get no error.
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

// The store calls of renewals and logins are as docs/stores.md states.
func TestStoreCallsOfRenewals(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	calls := func(path string) int {
		store.since()
		a.get(path)
		return len(store.since())
	}
	require.Equal(t, 1, calls("/bind?user=ada"), "without a session")
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
		require.Equal(t, at.renew+1, calls("/terms"), "the status of the subject is asked for, too")
		a.who()
		require.Equal(t, at.bind+1, calls("/bind?user=ada"))
		a.who()
		require.Equal(t, at.read+1, calls("/logout"))
	}
}

// Three copies of the cookies exist: from when the session was small, from when it
// was in the store, and from after it moved back. One logout ends all three, and
// so does a renewal.
func TestStolenJarsOfAllAgesOfASession(t *testing.T) {
	for _, end := range []string{"/logout", "/login?user=ada", "/bind?user=ada"} {
		for name, grow := range map[string]int{"stored": 60_000, "back": 5} {
			t.Run(name+end, func(t *testing.T) {
				sites, _ := sharing(t, 3, withoutIdle)
				a, b, unusedByRequest := sites[0], sites[1], sites[2]
				a.get("/bind?user=ada")
				small := a.stealJar()
				a.grow("a", 60_000)
				stored := a.stealJar()
				a.grow("a", grow)
				last := a.stealJar()
				a.get(end)
				for _, d := range []time.Duration{middleware.DefaultRevocationMaxAge, 20 * time.Minute, 3 * time.Hour, 20 * time.Hour} {
					after(a, d)
					small.requireEnded(a, b)
					stored.requireEnded(a, b)
					last.requireEnded(a, b)
				}
				small.requireEnded(unusedByRequest)
				stored.requireEnded(unusedByRequest)
				last.requireEnded(unusedByRequest)
			})
		}
	}
}

// A logout in a browser that was inactive for longer than the idle timeout also
// ends a copy that was kept in use.
func TestStolenJarThatWasKeptAwake(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		stolen := a.stealJar()
		for range 3 {
			after(a, 70*time.Minute)
			require.Equal(t, "ada", stolen.who(b))
		}
		require.Equal(t, 200, a.get("/logout").StatusCode)
		after(a, middleware.DefaultRevocationMaxAge)
		stolen.requireEnded(a, b)
	})
}

// So does a logout in a browser that has lost some of the session's cookies.
func TestStolenJarWhoseOwnerHasLostCookies(t *testing.T) {
	sites, _ := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.get("/bind?user=ada")
	after(a, 10*time.Minute)
	cell := a.grow("a", 1500).Cookies()[1].Name
	after(a, 10*time.Minute)
	a.grow("b", 10) // this write has seen a
	stolen := a.stealJar()
	require.Equal(t, "ada", stolen.who(b))
	require.True(t, a.jar.Evict(cell))
	require.Equal(t, reason.Torn.String(), a.get("/read").Header.Get("X-Reason"))
	require.Equal(t, 200, a.get("/logout").StatusCode)
	after(a, middleware.DefaultRevocationMaxAge)
	stolen.requireEnded(a, b)
}
