package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// oldLibrary keeps its sessions under the cookie "old".
type oldLibrary struct {
	mu       sync.Mutex
	sessions map[string]*middleware.Imported
	down     error
	asked    int
	path     string
}

func (o *oldLibrary) Cookie() http.Cookie {
	return http.Cookie{Name: "old", Path: o.path, HttpOnly: true}
}

func (o *oldLibrary) Import(_ context.Context, value string) (*middleware.Imported, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	return o.sessions[value], o.down
}

func (o *oldLibrary) Forget(_ context.Context, value string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sessions, value)
	return o.down
}

func (o *oldLibrary) has(value string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sessions[value] != nil
}

// migrating is a site whose visitor is logged in as ada in the old library. That
// session began an hour ago and lasts ten hours.
func migrating(t *testing.T, options ...option) (*site, *oldLibrary) {
	t.Helper()
	old := &oldLibrary{path: "/", sessions: map[string]*middleware.Imported{"token": {
		Values:  map[string]any{"user": "ada", "note": "hello"},
		Created: noon.Add(-time.Hour), Expires: noon.Add(9 * time.Hour),
	}}}
	s, _ := storedSite(t, append([]option{config(func(c *middleware.Config) {
		c.Migration.From, c.Migration.Until = []middleware.Importer{old}, noon.Add(30*24*time.Hour)
	})}, options...)...)
	s.jar.Put("old", "token")
	return s, old
}

// Without an Observer, a request without our cookies skips the load. The importers
// must be called all the same.
func TestImportUnobserved(t *testing.T) {
	s, old := migrating(t, config(func(c *middleware.Config) { c.Observer = nil }))
	require.Equal(t, "ada", s.get("/read").body)
	require.Equal(t, 1, old.asked)
	s.clock.advance(settled)
	require.Equal(t, "ada", s.get("/read").body)
	require.False(t, s.has("old"))
}

// settled is longer than any request of the import can be in flight.
const settled = 17 * time.Minute

func (s *site) has(name string) bool { return slices.Contains(s.jar.Names(), name) }

// The first response sets Carryon's session. The old one is removed when a request
// carries the new one and no request with only the old one can be in flight.
func TestImport(t *testing.T) {
	s, old := migrating(t)
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Empty(t, a.Header.Get("X-Reason"))
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.Equal(t, "private, no-store", a.Header.Get("Cache-Control"))
	require.Len(t, s.events.of(middleware.EventImported), 1)
	require.True(t, s.has("old"), "no request has carried the new cookie yet")
	require.True(t, old.has("token"))

	for _, wait := range []time.Duration{0, settled - time.Millisecond} {
		s.clock.advance(wait)
		require.Equal(t, "ada", s.who())
		require.True(t, s.has("old"), "a request with only the old cookie may still be in flight")
		require.True(t, old.has("token"))
	}
	s.clock.advance(time.Millisecond)
	a = s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.False(t, s.has("old"))
	require.False(t, old.has("token"))
	require.Equal(t, noon.Add(9*time.Hour), s.cookie().Expires.UTC(), "it ends when the old session does")
	require.Equal(t, 1, old.asked)
	require.Empty(t, s.get("/read").Header["Set-Cookie"])
	require.Equal(t, "note user", s.get("/names").body)
}

// If the response is lost, the old session is still there.
func TestImportWhoseResponseIsLost(t *testing.T) {
	s, _ := migrating(t)
	for range 3 {
		require.Equal(t, "ada", s.bare("/read", "old=token").body)
	}
	require.Equal(t, "ada", s.who())
}

// Parallel requests import the same session, so that none undoes another's
// changes.
func TestImportByRequestsAtOnce(t *testing.T) {
	s, _ := migrating(t)
	var answers []answer
	for _, path := range []string{"/set?user=grace", "/put?name=a&size=10", "/put?name=b&size=20", "/read"} {
		answers = append(answers, s.bare(path, "old=token"))
		s.clock.advance(10 * time.Millisecond)
	}
	for _, a := range answers {
		s.receive(a)
	}
	require.Equal(t, "a b note user", s.get("/names").body)
	require.Equal(t, "grace", s.who())
}

// A session that takes several cookies is written as the state that all parallel
// imports write, with each change in a cell.
func TestImportOfSeveralCookies(t *testing.T) {
	s, old := migrating(t, config(wide), config(func(c *middleware.Config) { c.Fallback.Store, c.Limits.RequestBytes = nil, 40_000 }))
	old.sessions["token"].Values["blob"] = text(6_000)
	one, two := s.bare("/put?name=a&size=10", "old=token"), s.bare("/put?name=b&size=10", "old=token")
	require.Equal(t, 200, one.StatusCode)
	s.receive(one)
	s.receive(two)
	require.Equal(t, "a b blob note user", s.get("/names").body)
}

// A logout ends the session in both libraries.
func TestImportedSessionEndsWithALogout(t *testing.T) {
	for _, first := range []string{"/read", "/none"} {
		for _, keep := range []bool{false, true} {
			s, old := migrating(t, config(func(c *middleware.Config) { c.Migration.Keep = keep }))
			copied := s.header()
			s.get(first)
			require.Equal(t, 200, s.get("/logout").StatusCode)
			require.False(t, s.has("old"))
			require.False(t, old.has("token"))
			require.Empty(t, s.who())
			require.Empty(t, s.bare("/read", copied).body, "a copy of the old cookie is refused")
		}
	}
}

// A login keeps the imported values under a new id and ends the old session.
func TestImportAndLogin(t *testing.T) {
	s, old := migrating(t)
	require.Equal(t, 200, s.get("/login?user=grace").StatusCode)
	require.False(t, s.has("old"))
	require.False(t, old.has("token"))
	require.Equal(t, "grace", s.who())
	require.Equal(t, "note user", s.get("/names").body)
}

// If a session of this program has ended or does not open here, it is not replaced
// by an older session of the other library.
func TestImportOnlyWhereNothingIsOurs(t *testing.T) {
	s, old := migrating(t)
	s.jar.Evict("old")
	s.get("/set?user=grace")
	s.jar.Put("old", "token")
	require.Equal(t, "grace", s.who())
	require.Zero(t, old.asked)

	s, old = migrating(t)
	s.jar.Evict("old")
	s.get("/set?user=grace")
	keepForever(s)
	s.clock.advance(3 * time.Hour)
	s.jar.Put("old", "token")
	require.Empty(t, s.who(), "the session has been idle for too long")
	require.Zero(t, old.asked)

	s, old = migrating(t, config(func(c *middleware.Config) { c.Keys = &replica{ring: newRing(t)} }))
	foreign := newSite(t, app)
	foreign.get("/set?user=eve")
	s.jar.Put(foreign.cookie().Name, foreign.cookie().Value)
	require.Empty(t, s.who(), "a replica with a newer ring may open the cookie")
	require.Zero(t, old.asked)
}

// A cookie for which the old library has no session imports nothing.
func TestImportOfNothing(t *testing.T) {
	s, _ := migrating(t)
	s.jar.Put("old", "made-up")
	a := s.get("/read")
	require.Equal(t, 404, a.StatusCode)
	require.Equal(t, reason.Absent.String(), a.Header.Get("X-Reason"))
	refused := s.events.of(middleware.EventRefused)
	require.Len(t, refused, 1)
	require.Equal(t, reason.ImportFailed, refused[0].Reason)
	s.get("/set?user=grace")
	s.clock.advance(settled)
	require.Equal(t, "grace", s.who())
	require.False(t, s.has("old"))
}

func TestImportOfAnEndedSession(t *testing.T) {
	s, old := migrating(t)
	old.sessions["token"].Expires = noon
	require.Empty(t, s.who())
	require.Equal(t, reason.Expired.String(), s.get("/read").Header.Get("X-Reason"))
}

// While the old library's store is down, no visitor is logged out.
func TestImportFromAStoreThatIsDown(t *testing.T) {
	s, old := migrating(t)
	old.down = errors.New("connection refused")
	require.Equal(t, http.StatusServiceUnavailable, s.get("/read").StatusCode)
	require.True(t, s.has("old"))
	old.down = nil
	require.Equal(t, "ada", s.who())

	s, old = migrating(t, config(func(c *middleware.Config) { c.Fallback.Outage = middleware.OutageAbsent }))
	old.down = errors.New("connection refused")
	require.Equal(t, 404, s.get("/read").StatusCode)
	require.True(t, s.has("old"))
}

// If one value cannot be encoded, nothing is imported, because the other values
// could mean something else without it.
func TestImportOfWhatCannotBeEncoded(t *testing.T) {
	s, old := migrating(t)
	old.sessions["token"].Values["restricted"] = func() {}
	require.Empty(t, s.who())
	refused := s.events.of(middleware.EventRefused)
	require.Len(t, refused, 1)
	require.Error(t, refused[0].Err)
	require.True(t, s.has("old"))
}

func TestImportThatTheImporterRefuses(t *testing.T) {
	s, old := migrating(t)
	old.down = fmt.Errorf("old: %w", middleware.ErrCannotImport)
	require.Equal(t, 404, s.get("/read").StatusCode)
	s.get("/set?user=grace")
	require.Equal(t, "grace", s.who())
}

func TestImportEnds(t *testing.T) {
	s, old := migrating(t)
	s.clock.advance(30 * 24 * time.Hour)
	require.Empty(t, s.who())
	require.Zero(t, old.asked)
}

func TestKeepImported(t *testing.T) {
	s, old := migrating(t, config(func(c *middleware.Config) { c.Migration.Keep = true }))
	for range 3 {
		require.Equal(t, "ada", s.who())
		s.clock.advance(settled)
	}
	s.get("/login?user=ada")
	require.True(t, s.has("old"))
	require.True(t, old.has("token"))
	s.get("/set?user=ada-2")
	require.Equal(t, "ada-2", s.who(), "the new session counts")
}

// A large session is imported into the store.
func TestImportIntoTheStore(t *testing.T) {
	for _, mode := range []middleware.Mode{middleware.Auto, middleware.AlwaysStored} {
		s, old := migrating(t, config(func(c *middleware.Config) { c.Fallback.Mode = mode }))
		old.sessions["token"].Values["blob"] = text(50_000)
		other := s.bare("/put?name=b&size=20", "old=token")
		require.Equal(t, "50000", s.length("blob"))
		require.Len(t, s.events.of(middleware.EventSpilled), 2, "one row for both")
		s.receive(other)
		require.Equal(t, "b blob note user", s.get("/names").body)
		s.clock.advance(settled + time.Second) // a stamp may be ahead of the clock by some milliseconds
		require.Equal(t, "ada", s.who())
		require.False(t, s.has("old"))
	}
}

// A session that does not fit stays in the old library and can be read.
func TestImportOfWhatDoesNotFit(t *testing.T) {
	s, old := migrating(t, config(func(c *middleware.Config) { c.Fallback.Store = nil }))
	old.sessions["token"].Values["blob"] = text(50_000)
	for range 2 {
		require.Equal(t, "50000", s.length("blob"))
	}
	require.True(t, s.has("old"))
	require.Equal(t, http.StatusInternalServerError, s.get("/set?user=grace").StatusCode)
	require.Equal(t, "ada", s.who())
}

func TestImportIsNotWrittenIntoCaches(t *testing.T) {
	s, _ := migrating(t)
	require.Empty(t, s.request(http.MethodHead, "/read").Header["Set-Cookie"])
	require.Empty(t, s.get("/read", "Sec-Purpose: prefetch").Header["Set-Cookie"])
	require.Len(t, s.get("/read").Header["Set-Cookie"], 1)
}

// Two audiences, and two rings, derive different sessions from one cookie, so that
// one reveals nothing about the other.
func TestImportedIDsFollowFromTheRing(t *testing.T) {
	ids := map[string]bool{}
	ring := newRing(t)
	for _, c := range []func(*middleware.Config){
		func(c *middleware.Config) { c.Keys = ring },
		func(c *middleware.Config) { c.Keys, c.Audience = ring, "other" },
		func(*middleware.Config) {},
	} {
		s, _ := migrating(t, config(c))
		s.get("/read")
		ids[s.events.of(middleware.EventImported)[0].SessionID] = true
	}
	require.Len(t, ids, 3)
	s, _ := migrating(t, config(func(c *middleware.Config) { c.Keys = ring }))
	s.get("/read")
	ids[s.events.of(middleware.EventImported)[0].SessionID] = true
	require.Len(t, ids, 3, "equal inputs give equal ids")
}

// The old cookie is expired with the attributes with which it was set.
func TestImportRemovesTheCookieWithItsAttributes(t *testing.T) {
	s, old := migrating(t)
	old.path = "/shop"
	s.get("/read")
	s.clock.advance(settled)
	a := s.get("/read")
	require.Contains(t, a.Header.Get("Set-Cookie"), "old=; Path=/shop; Max-Age=0")
}

// If a response may have only one Set-Cookie line, it sets the new cookie.
func TestImportWhereOneLineIsAllowed(t *testing.T) {
	s, _ := migrating(t, config(func(c *middleware.Config) { c.Limits.SetCookieLines = 1 }))
	require.Equal(t, "ada", s.who())
	s.clock.advance(settled)
	a := s.get("/set?user=grace")
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.True(t, s.has("old"))
	require.Equal(t, "grace", s.who())
	require.False(t, s.has("old"))
}

func TestImportIsCheckedByNew(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*middleware.Config)
		want   string
	}{
		"no end":   {func(c *middleware.Config) { c.Migration.Until = time.Time{} }, "Config.Migration.Until: it is not set"},
		"nil":      {func(c *middleware.Config) { c.Migration.From = append(c.Migration.From, nil) }, "Config.Migration.From[1]: it is nil"},
		"our name": {func(c *middleware.Config) { c.Cookie.Name, c.Cookie.FixedName = "old", true }, "which is one of ours"},
		"no name":  {func(c *middleware.Config) { c.Migration.From = []middleware.Importer{nameless{}} }, "which is not a cookie name"},
	} {
		t.Run(name, func(t *testing.T) {
			c := middleware.Config{Keys: newRing(t), Migration: middleware.Migration{From: []middleware.Importer{&oldLibrary{}}, Until: noon}}
			test.change(&c)
			_, err := middleware.New(c)
			require.ErrorContains(t, err, test.want)
		})
	}
}

type nameless struct{ middleware.Importer }

func (nameless) Cookie() http.Cookie { return http.Cookie{} }

// The importers of two libraries are called in order.
func TestImportersAreAskedInOrder(t *testing.T) {
	second := &oldLibrary{sessions: map[string]*middleware.Imported{"token": {Values: map[string]any{"user": "eve"}}}}
	s, _ := migrating(t, config(func(c *middleware.Config) { c.Migration.From = append(c.Migration.From, second) }))
	require.Equal(t, "ada", s.who())
	require.Zero(t, second.asked)
}
