package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// bindApp is storedApp with /bind?user=&also= (a login with subjects), /whose and /id.
func bindApp(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	switch r.URL.Path {
	case "/bind":
		s.Login(r.FormValue("user"), r.Form["also"]...)
		user.Set(s, r.FormValue("user"))
	case "/terms":
		s.SetIdleTimeout(time.Hour)
	case "/whose":
		subject, ok := s.Subject()
		fmt.Fprint(w, subject, " ", ok)
	case "/id":
		fmt.Fprint(w, s.ID())
	default:
		storedApp(w, r)
	}
}

// sharing returns replicas of one program. They share a ring, a clock and a store;
// each has a cache of its own.
func sharing(t *testing.T, n int, options ...option) (sites []*site, store *watched) {
	t.Helper()
	ring := newRing(t)
	first, store := storedSite(t, append([]option{config(func(c *middleware.Config) {
		c.Keys, c.Fallback.Revocation = ring, middleware.RevocationOn
	}), asProgram(bindApp)}, options...)...)
	sites = append(sites, first)
	for range n - 1 {
		s := newSite(t, bindApp, append([]option{config(func(c *middleware.Config) {
			c.Keys, c.Clock, c.Fallback.Store = ring, first.clock.Now, store
		})}, options...)...)
		s.clock = first.clock
		sites = append(sites, s)
	}
	return sites, store
}

// with sends a request to a replica with the cookies of another replica's visitor.
func (s *site) with(path, header string) answer { return s.bare(path, header) }

// A logout ends all copies of the cookies: at this replica at once, and at another
// when its cached status expires.
func TestLogoutEndsCopies(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2)
		a, b := sites[0], sites[1]
		a.get("/set?user=ada")
		a.grow("a", grow)
		copied := a.header()
		require.Equal(t, "ada", b.with("/read", copied).body)
		require.Equal(t, 200, a.get("/logout").StatusCode)

		refused := a.with("/read", copied)
		require.Empty(t, refused.body)
		require.Equal(t, reason.LoggedOut.String(), refused.Header.Get("X-Reason"))
		a.clock.advance(middleware.DefaultRevocationMaxAge)
		require.Empty(t, b.with("/read", copied).body)
		require.Empty(t, b.with("/get?name=a", copied).Header["Set-Cookie"], "a read does not bring the session back")
		b.with("/put?name=b&size=10", copied)
		require.Empty(t, b.with("/read", copied).body)
	})
}

// A cookie from before a login, as a session fixation plants it, is refused after
// the login.
func TestLoginEndsCopiesOfWhatWasBefore(t *testing.T) {
	sites, _ := sharing(t, 1)
	s := sites[0]
	s.get("/put?name=a&size=10")
	planted := s.header()
	s.get("/bind?user=ada")
	require.Equal(t, "0", s.with("/get?name=a", planted).body)
	require.Equal(t, "ada", s.who())
	require.Equal(t, "10", s.length("a"), "the login keeps the values")
}

func TestRevokeOneSession(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, _ := sharing(t, 2)
		a, b := sites[0], sites[1]
		a.get("/bind?user=ada")
		a.grow("a", grow)
		id := a.get("/id").body
		other := b.with("/bind?user=ada", "")
		b.receive(other)
		require.Equal(t, "ada", b.with("/read", a.header()).body)

		require.NoError(t, a.sessions.Revoke(t.Context(), id))
		refused := a.get("/read")
		require.Empty(t, refused.body)
		require.Equal(t, reason.Revoked.String(), refused.Header.Get("X-Reason"))
		a.clock.advance(middleware.DefaultRevocationMaxAge)
		require.Equal(t, reason.Revoked.String(), b.with("/read", a.header()).Header.Get("X-Reason"))
		require.Equal(t, "ada", b.who(), "ada's other session")

		a.get("/put?name=b&size=10")
		require.Equal(t, "b", a.get("/names").body, "a new session without the old entries")
		require.NoError(t, a.sessions.Revoke(t.Context(), id), "again")
	})
}

func TestRevokeSubject(t *testing.T) {
	sites, _ := sharing(t, 3)
	a, b, c := sites[0], sites[1], sites[2]
	for _, s := range sites[:2] {
		s.get("/bind?user=ada")
	}
	c.get("/bind?user=grace")
	b.grow("a", 60_000) // one of the sessions is stored
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))

	require.Equal(t, reason.Revoked.String(), a.get("/read").Header.Get("X-Reason"))
	a.clock.advance(middleware.DefaultRevocationMaxAge)
	require.Equal(t, reason.Revoked.String(), b.get("/read").Header.Get("X-Reason"))
	require.Equal(t, "grace", c.who())

	// A login after the revocation counts, at once and at every replica.
	for _, s := range sites[:2] {
		s.get("/bind?user=ada")
		require.Equal(t, "ada", s.who())
	}
	require.Equal(t, "ada", c.with("/read", a.header()).body)
	require.NoError(t, b.sessions.RevokeSubject(t.Context(), "ada"), "at the same time")
	a.clock.advance(middleware.DefaultRevocationMaxAge)
	require.Empty(t, a.who())
	require.Equal(t, "grace", c.who())
}

// A replica whose clock is behind ends sessions of a replica whose clock is ahead.
// A login at a slow replica counts right after a revocation by a fast one.
func TestRevokeSubjectAndClocks(t *testing.T) {
	sites, store := sharing(t, 1)
	slow := sites[0]
	at := func(d time.Duration) *site {
		s := newSite(t, bindApp, config(func(c *middleware.Config) {
			c.Keys, c.Fallback.Store = slow.config.Keys, store
			c.Clock = func() time.Time { return slow.clock.Now().Add(d) }
		}))
		return s
	}
	fast := at(29 * time.Second)
	fast.get("/bind?user=ada")
	require.NoError(t, slow.sessions.RevokeSubject(t.Context(), "ada"))
	require.Empty(t, slow.with("/read", fast.header()).body)

	require.NoError(t, fast.sessions.RevokeSubject(t.Context(), "ada"))
	slow.get("/bind?user=ada")
	require.Equal(t, "ada", slow.who())
	require.Equal(t, "ada", at(29*time.Second).with("/read", slow.header()).body)
}

// The clocks of two replicas may be a minute apart. The slow one still ends a
// session that the fast one has bound at the same moment.
func TestRevokeSubjectAtTheLimitOfTheClocks(t *testing.T) {
	sites, store := sharing(t, 1)
	slow := sites[0]
	fast := newSite(t, bindApp, config(func(c *middleware.Config) {
		c.Keys, c.Fallback.Store = slow.config.Keys, store
		c.Clock = func() time.Time { return slow.clock.Now().Add(time.Minute) }
	}))
	fast.get("/bind?user=ada")
	require.NoError(t, slow.sessions.RevokeSubject(t.Context(), "ada"))
	require.Equal(t, reason.Revoked.String(), slow.with("/read", fast.header()).Header.Get("X-Reason"))
}

// The revocation status is cached, and not asked for with every request.
func TestRevocationsAreCached(t *testing.T) {
	sites, store := sharing(t, 1)
	s := sites[0]
	s.get("/bind?user=ada")
	store.since()
	for range 20 {
		require.Equal(t, "ada", s.who())
	}
	require.Equal(t, []string{"load"}, store.since(), "for the id; the login has asked for the subject")
	s.clock.advance(middleware.DefaultRevocationMaxAge)
	for range 20 {
		require.Equal(t, "ada", s.who())
	}
	require.Equal(t, []string{"load", "load"}, store.since(), "for the id and the subject")
	for range 20 {
		s.get("/none")
	}
	require.Empty(t, store.since(), "no handler used the session")
}

func TestRevocationMaxAgeNegativeAsksForEachRequest(t *testing.T) {
	sites, store := sharing(t, 2, config(func(c *middleware.Config) { c.Fallback.RevocationMaxAge = -1 }))
	a, b := sites[0], sites[1]
	a.get("/set?user=ada")
	require.Equal(t, "ada", b.with("/read", a.header()).body)
	store.since()
	for range 3 {
		require.Equal(t, "ada", a.who())
	}
	require.Len(t, store.since(), 3)
	require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	require.Empty(t, b.with("/read", a.header()).body, "at once")
}

// For a stored session, the record's row already has the revocation status.
func TestStoredSessionsAreNotAskedForTwice(t *testing.T) {
	sites, store := sharing(t, 1)
	sites[0].grow("a", 60_000)
	store.since()
	sites[0].length("a")
	require.Equal(t, []string{"load"}, store.since())
}

func TestRevocationOff(t *testing.T) {
	sites, store := sharing(t, 1, config(func(c *middleware.Config) { c.Fallback.Revocation = middleware.RevocationOff }))
	s := sites[0]
	s.get("/bind?user=ada")
	s.who()
	copied := s.header()
	s.get("/logout")
	require.Empty(t, store.since())
	require.Equal(t, "ada", s.with("/read", copied).body)
}

// While the store is down, sessions in cookies stay valid, and those known to be
// revoked stay revoked. A program can configure that all are refused.
func TestRevocationsWhileTheStoreIsDown(t *testing.T) {
	sites, store := sharing(t, 1)
	s := sites[0]
	s.get("/set?user=ada")
	gone := s.header()
	s.get("/logout")
	s.get("/set?user=grace")
	store.fail(errors.New("connection refused"))
	s.clock.advance(time.Hour)
	store.since()
	for range 10 {
		require.Equal(t, "grace", s.who())
	}
	require.LessOrEqual(t, len(store.since()), 2, "a store that has failed is not called for a second")
	require.Empty(t, s.with("/read", gone).body)
	require.Equal(t, 200, s.get("/logout").StatusCode)
	require.Empty(t, s.who())

	sites, store = sharing(t, 1, config(func(c *middleware.Config) { c.Fallback.Revocation = middleware.RevocationStrict }))
	s = sites[0]
	s.get("/set?user=ada")
	s.who()
	store.fail(errors.New("connection refused"))
	require.Equal(t, "ada", s.who(), "the status is cached for ten seconds")
	s.clock.advance(middleware.DefaultRevocationMaxAge)
	require.Equal(t, http.StatusServiceUnavailable, s.get("/read").StatusCode)
	store.fail(nil)
	s.clock.advance(2 * time.Second)
	require.Equal(t, "ada", s.who())
}

func TestRevokeNeedsAStoreThatAnswers(t *testing.T) {
	s := newSite(t, app)
	require.ErrorContains(t, s.sessions.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"), "Config.Fallback")
	require.ErrorContains(t, s.sessions.RevokeSubject(t.Context(), "ada"), "Config.Fallback")

	sites, store := sharing(t, 1)
	for _, id := range []string{"", "ada", "AAAAAAAAAAAAAAAAAAAAAAA"} {
		require.ErrorContains(t, sites[0].sessions.Revoke(t.Context(), id), "22 characters")
	}
	store.fail(errors.New("connection refused"))
	require.ErrorIs(t, sites[0].sessions.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"), session.ErrStoreDown)
	require.ErrorIs(t, sites[0].sessions.RevokeSubject(t.Context(), "ada"), session.ErrStoreDown)
}

// A request that was in flight when its session was ended does not bring the
// session back.
func TestRevokedWhileARequestIsUnderWay(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		sites, store := sharing(t, 2)
		a, b := sites[0], sites[1]
		a.get("/set?user=ada")
		a.grow("a", grow)
		id := a.get("/id").body
		store.interrupt(func(call string) {
			if call == "save" {
				store.interrupt(nil)
				require.NoError(t, b.sessions.Revoke(t.Context(), id))
			}
		})
		a.grow("b", grow) // in the stored case this saves
		store.interrupt(nil)
		require.NoError(t, b.sessions.Revoke(t.Context(), id))
		a.clock.advance(middleware.DefaultRevocationMaxAge)
		require.Empty(t, a.who())
	})
}

func TestLoginSealsItsSubject(t *testing.T) {
	sites, _ := sharing(t, 1)
	s := sites[0]
	require.Equal(t, " false", s.get("/whose").body)
	s.get("/put?name=a&size=5")
	before := s.get("/id").body
	s.get("/bind?user=ada")
	require.NotEqual(t, before, s.get("/id").body, "the id has changed, which prevents fixation")
	require.Equal(t, "ada true", s.get("/whose").body)
	require.Equal(t, "5", s.length("a"))
	s.get("/login?user=ada") // Renew
	require.Equal(t, "ada true", s.get("/whose").body)
	s.get("/bind?user=grace")
	require.Equal(t, "grace true", s.get("/whose").body)
	s.get("/logout")
	require.Equal(t, " false", s.get("/whose").body)

	require.Equal(t, http.StatusInternalServerError, s.get("/bind?user=").StatusCode)
	require.Equal(t, http.StatusInternalServerError, s.get("/bind?user="+text(256)).StatusCode)
	require.Equal(t, http.StatusOK, s.get("/bind?user="+text(255)).StatusCode)
}

// A subject is also sealed without a store, and takes no store call.
func TestBindWithoutAStore(t *testing.T) {
	s := newSite(t, bindApp)
	s.get("/bind?user=ada")
	require.Equal(t, "ada true", s.get("/whose").body)
}

// Two programs that share a store and user ids end only their own sessions.
func TestSubjectsOfTwoAudiences(t *testing.T) {
	sites, store := sharing(t, 1)
	one := sites[0]
	two := newSite(t, bindApp, config(func(c *middleware.Config) {
		c.Keys, c.Audience, c.Fallback.Store, c.Clock = keyring.Ephemeral(), "two", store, one.clock.Now
	}))
	one.get("/bind?user=ada")
	two.get("/bind?user=ada")
	require.NoError(t, one.sessions.RevokeSubject(t.Context(), "ada"))
	require.Empty(t, one.who())
	require.Equal(t, "ada", two.who())
}

// Parallel requests of one session make one store call for its revocation status.
func TestRevocationsAreAskedForOnceAtATime(t *testing.T) {
	sites, store := sharing(t, 1)
	s := sites[0]
	s.get("/set?user=ada")
	header := s.header()
	store.since()
	var wait sync.Once
	arrived := make(chan struct{})
	store.interrupt(func(string) { wait.Do(func() { <-arrived }) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, err := http.NewRequest(http.MethodGet, s.URL+"/read", nil)
			if err == nil {
				r.Header.Set("Cookie", header)
				var a *http.Response
				if a, err = http.DefaultClient.Do(r); err == nil {
					a.Body.Close()
				}
			}
			if err != nil || r == nil {
				t.Errorf("a request failed: %v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // until most of them wait; the test is also right with fewer
	close(arrived)
	wg.Wait()
	require.Equal(t, []string{"load"}, store.since())
}

// A full memory store drops sessions, but never the marks of ended sessions.
func TestAFullMemoryForgetsNoEnding(t *testing.T) {
	sites, store := sharing(t, 2)
	s, other := sites[0], sites[1] // the other one has nothing cached
	memory, err := fallback.NewMemory(fallback.MemoryConfig{MaxBytes: 1 << 20, Clock: s.clock.Now})
	require.NoError(t, err)
	store.Store = memory

	s.get("/set?user=ada")
	s.grow("a", 60_000)
	loggedOut := s.header()
	require.Equal(t, 200, s.get("/logout").StatusCode)
	s.forget()
	s.get("/bind?user=grace")
	subject := s.header()
	require.NoError(t, s.sessions.RevokeSubject(t.Context(), "grace"))
	s.forget()
	s.get("/bind?user=li")
	one := s.header()
	require.NoError(t, s.sessions.Revoke(t.Context(), s.get("/id").body))

	for range 40 {
		s.forget()
		require.Equal(t, 200, s.grow("large", 80_000).StatusCode)
	}
	require.Greater(t, memory.Evicted(), int64(20))
	for header, why := range map[string]reason.Reason{
		loggedOut: reason.LoggedOut, subject: reason.Revoked, one: reason.Revoked,
	} {
		require.Equal(t, why.String(), other.with("/read", header).Header.Get("X-Reason"))
	}
}
