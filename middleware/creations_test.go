package middleware_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// burst sends n requests with one jar at the same time, each of which creates an
// entry, and applies the responses. It returns the names that were kept.
func (a *adversary) burst(jar cookies, n int) (kept map[string]bool, refused []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	kept = map[string]bool{}
	var landing [][]string
	requests := make([]func() ([]string, error), n)
	for i := range n {
		requests[i] = open(a.sessions, jar, set(fmt.Sprint("new", i), "1"))
	}
	for i, answer := range requests {
		wg.Go(func() {
			lines, err := answer()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused = append(refused, err)
				return
			}
			kept[fmt.Sprint("new", i)] = true
			landing = append(landing, lines)
		})
	}
	wg.Wait()
	for _, lines := range landing {
		jar.land(lines)
	}
	return kept, refused
}

// If many parallel requests create entries, those that fit together are kept and
// the others get an error. No accepted entry is lost, and no visitor is locked
// out.
func TestEntriesCreatedAtOnceAreKeptOrRefused(t *testing.T) {
	for _, platform := range append(middleware.Platforms(), middleware.Default) {
		t.Run(string(platform), func(t *testing.T) {
			a := newAdversary(t, func(c *middleware.Config) { c.Platform = platform })
			limits := a.sessions.Limits()
			jar := cookies{}
			a.ask(jar, set("user", "ada"))
			a.ask(jar, set("user", "grace"))
			kept, refused := a.burst(jar, 60)
			require.NotEmpty(t, kept)
			require.Len(t, refused, 60-len(kept))
			for _, err := range refused {
				var e *session.TooLargeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, session.LimitNewEntries, e.Limit)
				require.Len(t, e.Largest, 1)
				require.False(t, kept[e.Largest[0].Name], "%s is kept", e.Largest[0].Name)
				require.Equal(t, string(platform), e.Platform)
				require.Equal(t, http.StatusTooManyRequests, middleware.StatusOf(err))
			}
			require.LessOrEqual(t, len(jar), limits.Cookies)
			require.LessOrEqual(t, len(jar.header()), limits.RequestBytes)
			seen, why := a.sees(jar)
			require.Equal(t, reason.None, why)
			require.Equal(t, "grace", seen["user"])
			require.Len(t, seen, 1+len(kept), "all accepted entries are there")
			a.ask(jar, func(s *session.Session) { s.Renew(); set("user", "emmy")(s) })
			a.ask(jar, func(s *session.Session) { s.Destroy() })
			seen, _ = a.sees(jar)
			require.Empty(t, seen)
		})
	}
}

// Entries created one after another are all accepted, in cells or in a head.
func TestEntriesCreatedOneAfterAnotherAreAccepted(t *testing.T) {
	for _, platform := range append(middleware.Platforms(), middleware.Default) {
		for _, pause := range []time.Duration{0, time.Minute} {
			a := newAdversary(t, func(c *middleware.Config) { c.Platform = platform })
			limits := a.sessions.Limits()
			jar, want := cookies{}, map[string]string{}
			for i := range 40 {
				name := fmt.Sprint("step", i)
				want[name] = fmt.Sprint("answer ", i)
				a.ask(jar, set(name, want[name]))
				a.clock.advance(pause)
				require.LessOrEqual(t, len(jar), limits.Cookies, "%s, entry %d", platform, i)
				require.LessOrEqual(t, len(jar.header()), limits.RequestBytes, "%s, entry %d", platform, i)
			}
			seen, _ := a.sees(jar)
			require.Equal(t, want, seen, platform)
		}
	}
}

// fullSession returns a session for which a burst has used up the budget. None of
// the burst's cookies are in the jar.
func fullSession(t *testing.T, change func(*middleware.Config)) (a *adversary, jar cookies) {
	a = newAdversary(t, change)
	jar = cookies{}
	a.ask(jar, set("user", "ada"))
	a.ask(jar, set("user", "grace"))
	kept, refused := a.burst(maps.Clone(jar), 60)
	require.NotEmpty(t, kept)
	require.NotEmpty(t, refused)
	return a, jar
}

func create(a *adversary, jar cookies) error {
	_, err := open(a.sessions, jar, set("another", "1"))()
	return err
}

// The bytes reserved for a response that was lost become free after the flight
// time.
func TestRoomOfALostResponseIsFreeAgain(t *testing.T) {
	a, jar := fullSession(t, nil)
	require.ErrorIs(t, create(a, jar), session.ErrTooLarge)
	a.clock.advance(10*time.Second - time.Millisecond)
	require.ErrorIs(t, create(a, jar), session.ErrTooLarge)
	a.clock.advance(time.Millisecond)
	require.NoError(t, create(a, jar))
}

// Entries in flight do not prevent changes of existing entries, other sessions,
// logins and logouts.
func TestEntriesInFlightHinderNothingElse(t *testing.T) {
	a, jar := fullSession(t, nil)
	for name, do := range map[string]func(*session.Session){
		"a change":   set("user", "emmy"),
		"a deletion": remove("user"),
		"a clearing": (*session.Session).Clear,
		"a login":    func(s *session.Session) { s.Renew(); set("another", "1")(s) },
		"a logout":   (*session.Session).Destroy,
	} {
		_, err := open(a.sessions, jar, do)()
		require.NoError(t, err, name)
	}
	other := cookies{}
	a.ask(other, set("user", "ada"))
	a.ask(other, set("another", "1"))
	seen, _ := a.sees(other)
	require.Len(t, seen, 2)
}

// Entries whose cookies have come back belong to the session and are not counted
// twice.
func TestEntriesThatLandedAreNotInFlight(t *testing.T) {
	a := newAdversary(t, nil)
	jar := cookies{}
	a.ask(jar, set("user", "ada"))
	for i := range 12 {
		a.ask(jar, set(fmt.Sprint("step", i), "1"))
	}
	kept, _ := a.burst(jar, 3)
	require.Len(t, kept, 3)
	seen, _ := a.sees(jar)
	require.Len(t, seen, 16)
}

// If there is a store, entries that do not fit the cookies go into the store, and
// no request is refused.
func TestEntriesCreatedAtOnceGoIntoTheStore(t *testing.T) {
	memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: func() time.Time { return noon }})
	require.NoError(t, err)
	for name, mode := range map[string]middleware.Mode{"auto": middleware.Auto, "always stored": middleware.AlwaysStored} {
		t.Run(name, func(t *testing.T) {
			a := newAdversary(t, func(c *middleware.Config) {
				c.Fallback.Store, c.Fallback.Mode, c.Fallback.Revocation = memory, mode, middleware.RevocationOff
			})
			jar := cookies{}
			a.ask(jar, set("user", "ada"))
			a.ask(jar, set("user", "grace"))
			kept, _ := a.burst(jar, 30)
			require.Len(t, kept, 30)
			seen, why := a.sees(jar)
			require.Equal(t, reason.None, why)
			require.Len(t, seen, 31)
		})
	}
}

// A large entry in flight, or in a lost response, does not prevent another entry
// that fits the store.
func TestLargeNewEntryBesideOneInFlightGoesIntoTheStore(t *testing.T) {
	s, _ := storedSite(t)
	s.get("/set?user=ada")
	s.bare("/put?name=b&size=10", s.header())
	require.Equal(t, 200, s.grow("large", 60_000).StatusCode)
	require.Equal(t, "large user", s.get("/names").body)
}

// The default ErrorHandler answers the refusal of a new entry.
func TestRefusalOfNewEntriesIsAnswered(t *testing.T) {
	a, jar := fullSession(t, nil)
	h := a.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { set("another", "1")(session.From(r.Context())) }))
	r, err := http.NewRequest(http.MethodPost, "/", nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", jar.header())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Empty(t, w.Header()["Set-Cookie"])
	require.True(t, strings.Contains(w.Body.String(), "please try again"), w.Body.String())
}
