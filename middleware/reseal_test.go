package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec/deflate"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

var ada = []string{"/set?user=ada"}

// rotated is a site without an idle clock, whose touches would seal anew as
// well, and with a session sealed by a key that has just retired. without opens
// what the ring opens after that key has died.
func rotated(t *testing.T, fill []string, options ...option) (s *site, store *watched, without *keyring.Ring) {
	t.Helper()
	ring := newRing(t)
	next, _, err := ring.Rotate(noon, keyring.Policy{ActivateIn: -1})
	require.NoError(t, err)
	without, _, err = next.Revoke(ring.Active(noon).ID(), noon)
	require.NoError(t, err)
	keys := &replica{ring: ring}
	s, store = storedSite(t, append([]option{noIdle, config(func(c *middleware.Config) { c.Keys = keys })}, options...)...)
	for _, path := range fill {
		require.Equal(t, 200, s.get(path).StatusCode)
	}
	keys.set(next, nil)
	return s, store, without
}

func noIdle(s *setup) { s.IdleTimeout = -1 }

// opensUnder tells who the jar's visitor is for a replica with another ring.
func (s *site) opensUnder(ring *keyring.Ring, options ...option) string {
	other := newSite(s.t, app, append([]option{noIdle, config(func(c *middleware.Config) { c.Keys, c.Clock = ring, s.clock.Now })}, options...)...)
	return other.bare("/read", s.header()).body
}

// What a retired key has sealed is sealed anew by a read, in time, under the
// same name, and once.
func TestReseal(t *testing.T) {
	s, _, without := rotated(t, ada)
	before := s.cookie()
	s.clock.advance(time.Hour)
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.Equal(t, "private", a.Header.Get("Cache-Control"), "it changes nothing")
	require.Equal(t, before.Name, s.cookie().Name)
	require.Equal(t, before.Expires, s.cookie().Expires)
	require.NotEqual(t, before.Value, s.cookie().Value)
	require.Equal(t, "ada", s.opensUnder(without))
	require.Empty(t, s.get("/read").Header["Set-Cookie"])
}

// Nobody knows from when on a session's turn comes; it stays so for all replicas.
func TestResealIsSpread(t *testing.T) {
	const visitors = 60
	var minutes [4]int
	for range visitors {
		s, _, _ := rotated(t, ada)
		for quarter := range minutes {
			if len(s.get("/read").Header["Set-Cookie"]) > 0 {
				minutes[quarter]++
				break
			}
			s.clock.advance(20 * time.Minute)
		}
	}
	require.Less(t, minutes[0], visitors/10, "at once")
	for _, n := range minutes[1:] {
		require.InDelta(t, visitors/3, n, visitors/4)
	}
}

// Where the key dies soon, all is done in half of the time.
func TestResealComesBeforeTheKeyDies(t *testing.T) {
	ring := newRing(t)
	next, _, err := ring.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: 10 * time.Minute})
	require.NoError(t, err)
	for range 10 {
		keys := &replica{ring: ring}
		s := newSite(t, app, noIdle, config(func(c *middleware.Config) { c.Keys = keys }))
		s.get("/set?user=ada")
		keys.set(next, nil)
		s.clock.advance(5*time.Minute + time.Second)
		require.Equal(t, "ada", s.who())
		s.clock.advance(6 * time.Minute)
		require.Equal(t, "ada", s.who())
	}
}

// Where a touch may not be written, nor may this.
func TestResealIsNoTouchOfCaches(t *testing.T) {
	s, _, _ := rotated(t, ada)
	s.clock.advance(2 * time.Hour)
	require.Empty(t, s.request(http.MethodHead, "/read").Header["Set-Cookie"])
	require.Empty(t, s.get("/read", "Sec-Purpose: prefetch").Header["Set-Cookie"])
	require.Len(t, s.get("/read").Header["Set-Cookie"], 1)
}

// The cookies of a chunked session are not sealed anew in place, where they
// could get mixed up with another response's: the state gets a new name.
func TestResealOfAChunkedSession(t *testing.T) {
	s, _, without := rotated(t, []string{"/set?user=ada", "/put?name=a&size=8000"}, config(wide))
	first := s.jar.Names()
	require.Greater(t, len(first), 2)
	s.clock.advance(time.Hour)
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.NotEmpty(t, a.Header["Set-Cookie"])
	for _, name := range s.jar.Names() {
		require.NotContains(t, first, name)
	}
	require.Equal(t, "ada", s.opensUnder(without))
	require.Empty(t, s.get("/read").Header["Set-Cookie"])
}

// Several fragments become one.
func TestResealOfSeveralFragments(t *testing.T) {
	s, _, without := rotated(t, []string{"/put?name=a&size=2000", "/set?user=ada", "/put?name=b&size=10"})
	names := s.jar.Names()
	require.Len(t, names, 3)
	s.clock.advance(time.Hour)
	require.Len(t, s.get("/read").Header["Set-Cookie"], 1+3)
	require.NotContains(t, names, s.cookie().Name)
	require.Equal(t, "ada", s.opensUnder(without))
	require.Empty(t, s.get("/read").Header["Set-Cookie"])
}

func TestResealOfACompressedSession(t *testing.T) {
	packed := config(func(c *middleware.Config) { c.Compression = deflate.New() })
	s, _, without := rotated(t, []string{"/set?user=" + strings.Repeat("ada", 2000)}, packed)
	before := s.cookie()
	s.clock.advance(time.Hour)
	user := s.who()
	require.Equal(t, before.Name, s.cookie().Name)
	require.NotEqual(t, before.Value, s.cookie().Value)
	require.Len(t, s.cookie().Value, len(before.Value), "the same bytes, sealed anew")
	require.Equal(t, user, s.opensUnder(without))
}

// A reference is sealed anew without a call of the store beside the load.
func TestResealOfAReference(t *testing.T) {
	s, store, without := rotated(t, []string{"/set?user=ada", "/put?name=a&size=60000"})
	before := s.cookie()
	s.clock.advance(time.Hour)
	store.since()
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.Equal(t, []string{"load"}, store.since())
	require.Equal(t, before.Name, s.cookie().Name)
	shared := config(func(c *middleware.Config) { c.Fallback = store })
	require.Equal(t, "ada", s.opensUnder(without, shared))
}

// In fixed-name mode the last response wins: sealing anew could undo a write.
func TestNoResealOfAFixedName(t *testing.T) {
	s, _, _ := rotated(t, ada, config(func(c *middleware.Config) { c.FixedName, c.Name = true, "__session" }))
	s.clock.advance(2 * time.Hour)
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Empty(t, a.Header["Set-Cookie"])
}

// Beside a cookie that a newer ring has sealed nothing is sealed anew: what is
// unopened may be what has taken the place of the rest, which must not come back.
func TestNoResealBesideWhatIsUnopened(t *testing.T) {
	s, _, _ := rotated(t, ada)
	stranger := newSite(t, app, noIdle, config(func(c *middleware.Config) { c.Keys, c.Clock = newRing(t), s.clock.Now }))
	stranger.get("/set?user=ada")
	s.clock.advance(time.Hour)
	header := s.header()
	beside := header + "; " + stranger.header()
	require.Empty(t, s.bare("/read", beside).Header["Set-Cookie"])
	require.Len(t, s.bare("/read", header).Header["Set-Cookie"], 1)
}

// A slow response that seals anew lands after a write, a login and a logout,
// and undoes none.
func TestResealUndoesNothing(t *testing.T) {
	for _, then := range []string{"/set?user=grace", "/login?user=grace", "/logout"} {
		s, _, _ := rotated(t, ada)
		s.clock.advance(time.Hour)
		slow := s.bare("/read", s.header())
		require.Len(t, slow.Header["Set-Cookie"], 1)
		s.get(then)
		want := s.who()
		require.NotEqual(t, "ada", want)
		s.receive(slow)
		require.Equal(t, want, s.who(), then)
	}
}
