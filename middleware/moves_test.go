package middleware_test

import (
	"errors"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func TestLargeSessionGoesToTheStoreAndComesBack(t *testing.T) {
	s, store := storedSite(t)
	require.Equal(t, 200, s.grow("small", 100).StatusCode)
	require.Empty(t, store.since(), "what fits the cookies is none of the store's business")

	require.Equal(t, 200, s.grow("large", 200_000).StatusCode)
	require.Equal(t, []string{"save"}, store.since(), "one round trip to move up")
	require.Len(t, s.jar.All(), 1, "the reference has taken the place of the cookies")
	require.Less(t, len(s.cookie().Value), 300)
	require.Len(t, s.events.of(middleware.EventSpilled), 1)

	require.Equal(t, "200000", s.length("large"))
	require.Equal(t, []string{"load"}, store.since(), "one to read")
	require.Equal(t, "large small", s.get("/names").body)
	store.since()
	s.get("/nothing-of-the-session")
	require.Empty(t, store.since(), "none where nobody asks")

	require.Equal(t, 200, s.grow("small", 90).StatusCode)
	require.Equal(t, []string{"load", "save"}, store.since(), "one to read and one to write")

	require.Equal(t, 200, s.get("/drop?name=large").StatusCode)
	require.Equal(t, []string{"load", "save"}, store.since(), "the record is marked: the session is in the cookies")
	require.Len(t, s.events.of(middleware.EventReturned), 1)
	require.Equal(t, "90", s.length("small"))
	require.Equal(t, "0", s.length("large"))
	require.Empty(t, store.since())
}

func TestHysteresis(t *testing.T) {
	s, store := storedSite(t)
	s.grow("a", 25_000)
	require.Empty(t, store.since(), "it fits the cookies")
	s.grow("a", 40_000)
	require.Equal(t, []string{"save"}, store.since())
	s.grow("a", 25_000)
	require.Equal(t, []string{"load", "save"}, store.since(), "it would fit again, but not in 40 %")
	require.Empty(t, s.events.of(middleware.EventReturned))
	s.grow("a", 10_000)
	require.Len(t, s.events.of(middleware.EventReturned), 1)
	store.since()
	require.Equal(t, "10000", s.length("a"))
	require.Empty(t, store.since())
}

func TestWritersOfOneRecordBothWin(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	header := s.header()
	once := first(func() { require.Equal(t, 200, s.bare("/put?name=b&size=20", header).StatusCode) })
	store.interrupt(func(call string) {
		if call == "save" {
			once()
		}
	})
	store.since()
	require.Equal(t, 200, s.grow("a", 10).StatusCode)
	require.Equal(t, []string{"load", "save", "load", "save", "load", "save"}, store.since(), "the slower one is put on top")
	require.Equal(t, "a b large", s.get("/names").body)
}

func TestWriterMeetsALogout(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	header := s.header()
	once := first(func() { s.bare("/logout", header) })
	store.interrupt(func(call string) {
		if call == "save" {
			once()
		}
	})
	got := s.grow("a", 10)
	require.Equal(t, 200, got.StatusCode)
	require.Empty(t, got.Header.Values("Set-Cookie"), "what overlaps with a logout is dropped")
	require.Equal(t, "0", s.length("a"))
}

// A writer that has loaded the record meets the move into the cookies.
func TestWriterMeetsAMove(t *testing.T) {
	s, store := storedSite(t)
	s.grow("keep", 50)
	s.grow("large", 50_000)
	header := s.header()
	var dropped answer
	once := first(func() { dropped = s.bare("/drop?name=large", header) })
	store.interrupt(func(call string) {
		if call == "save" {
			once()
		}
	})
	slow := s.bare("/put?name=a&size=10", header)
	require.Equal(t, 200, slow.StatusCode)
	s.receive(dropped)
	s.receive(slow)
	require.Equal(t, "a keep", s.get("/names").body, "the drop and the write, both")
}

// A writer has seen b, in a cell that was put back long after; the row that it meets
// has risen above that, so that b no longer shows. On top of it the write would stand
// without what it was decided on, be that a restriction.
func TestWriterMeetsARowWithoutWhatItSaw(t *testing.T) {
	for name, pause := range map[string]time.Duration{"when it saves": 0, "when it loads again": 3 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			var meanwhile func()
			s, _ := storedSite(t, asProgram(func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("name") == "slow" {
					_ = session.From(r.Context()).Names() // sees it
					meanwhile()
				}
				storedApp(w, r)
			}))
			s.grow("a", 10)
			b := s.bare("/put?name=b&size=10", s.header())
			s.get("/drop?name=a")
			s.clock.advance(time.Minute) // b is no longer taken to be on its way
			s.grow("large", 50_000)
			without := s.header()
			s.receive(b) // put back, against A4, or late, against A1
			require.Equal(t, "b large", s.get("/names").body)
			s.clock.advance(25 * time.Minute)
			meanwhile = func() {
				s.clock.advance(pause)
				s.receive(s.bare("/put?name=quick&size=10", without)) // forgets when a was deleted
			}
			slow := s.get("/put?name=slow&size=10")
			require.Equal(t, 503, slow.StatusCode)
			require.Empty(t, slow.Header.Values("Set-Cookie"))
			require.Equal(t, "large quick", s.get("/names").body)
			require.Equal(t, 200, s.grow("again", 10).StatusCode, "on what there is")
			require.Equal(t, "again large quick", s.get("/names").body)
		})
	}
}

// spilling is a browser whose session does not bear another 10 KB in cookies.
func spilling(t *testing.T) (*adversary, cookies) {
	a := newAdversary(t, func(c *middleware.Config) {
		memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: c.Clock})
		require.NoError(t, err)
		c.Fallback.Store = memory
	})
	jar := cookies{}
	a.ask(jar, set("a", text(12_000)))
	a.ask(jar, set("a2", text(12_000)))
	return a, jar
}

// A session moved to the store, and the response with the reference was lost.
// The next write finds the row and must not continue it in cookies alone.
func TestWriterMeetsARowThatNoCookieNames(t *testing.T) {
	a, jar := spilling(t)
	a.ask(maps.Clone(jar), set("b", text(10_000)))
	a.ask(jar, set("c", text(10_000)))
	seen, reason := a.sees(jar)
	require.Len(t, seen, 4, reason)
}

// Two move into the row at once. Whichever response lands first, the session is there.
func TestWritersMoveIntoTheStoreAtOnce(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		a, jar := spilling(t)
		writers := []func() ([]string, error){open(a.sessions, jar, set("b", text(10_000))), open(a.sessions, jar, set("c", text(10_000)))}
		var answers [2][]string
		for i, write := range writers {
			lines, err := write()
			require.NoError(t, err)
			answers[i] = lines
		}
		jar.land(answers[order[0]])
		seen, reason := a.sees(jar)
		require.Len(t, seen, 4, reason)
		between := open(a.sessions, jar, set("csrf", "x"))
		jar.land(answers[order[1]])
		seen, reason = a.sees(jar)
		require.Len(t, seen, 4, reason)
		lines, err := between()
		require.NoError(t, err)
		jar.land(lines)
		seen, reason = a.sees(jar)
		require.Len(t, seen, 5, reason)
	}
}

func TestModesMove(t *testing.T) {
	memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: func() time.Time { return noon }})
	require.NoError(t, err)
	ring := newRing(t)
	in := func(mode middleware.Mode) *site {
		return newSite(t, storedApp, config(func(c *middleware.Config) { c.Keys, c.Fallback.Mode, c.Fallback.Store = ring, mode, memory }))
	}
	stored, cookies := in(middleware.AlwaysStored), in(middleware.AlwaysCookies)
	cookies.jar = stored.jar
	require.Equal(t, 200, stored.grow("a", 100).StatusCode)
	header := stored.header()
	require.Equal(t, "100", cookies.bare("/get?name=a", header).body, "another mode still reads it")
	back := cookies.bare("/put?name=b&size=10", header)
	require.Equal(t, 200, back.StatusCode)
	stored.receive(back)
	require.Equal(t, "a b", stored.get("/names").body)
	require.Equal(t, http.StatusInternalServerError, cookies.bare("/put?name=b&size=40000", stored.header()).StatusCode)
}

// The record keeps the session that has gone back to the cookies: the response
// that says so may be lost, or come after others.
func TestMoveBackWhoseResponseIsLost(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("keep", 50)
	s.grow("large", 50_000)
	back := s.bare("/drop?name=large", s.header())
	require.Len(t, s.events.of(middleware.EventReturned), 1)
	require.Equal(t, "keep", s.get("/names").body, "by the record")
	require.Equal(t, 200, s.grow("a", 10).StatusCode)
	require.Equal(t, "a keep", s.get("/names").body)
	s.receive(back)
	require.Equal(t, "a keep", s.get("/names").body, "late, it undoes nothing")
	s.clock.advance(20 * time.Minute)
	require.Equal(t, 200, s.grow("b", 10).StatusCode)
	require.Equal(t, "a b keep", s.get("/names").body)
}

// The same with one cookie: its name stays what it was.
func TestMoveBackWhoseResponseIsLostUnderAFixedName(t *testing.T) {
	s, _ := storedSite(t, config(func(c *middleware.Config) { c.Cookie.Name, c.Cookie.FixedName = "__session", true }))
	s.grow("a", 5000)
	before := s.header()
	s.grow("a", 10)
	require.Len(t, s.events.of(middleware.EventReturned), 1)
	s.forget() // and with it that response
	s.receive(s.bare("/put?name=b&size=5000", before))
	require.Equal(t, "5000", s.length("b"))
	require.Equal(t, "10", s.length("a"))
	require.Equal(t, []string{"__session"}, s.jar.Names())
}

// A session that is back in the cookies does without the store, and a reference
// from before shows what the record last had.
func TestMoveBackNeedsTheStoreNoMore(t *testing.T) {
	s, store := storedSite(t)
	s.grow("keep", 50)
	s.grow("large", 50_000)
	before := s.header()
	s.get("/drop?name=large")
	store.fail(errors.New("down"))
	require.Equal(t, "keep", s.get("/names").body)
	require.Equal(t, 200, s.grow("a", 10).StatusCode)
	require.Equal(t, "a keep", s.get("/names").body)
	store.fail(nil)
	require.Equal(t, "keep", s.bare("/names", before).body, "not what was dropped")
}
