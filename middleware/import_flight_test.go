package middleware_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// held returns migrating's site with a path /held. The request to /held carries
// only the old cookie and waits in its handler until resume is called. The handler
// uses the session before it waits if looksFirst is true, or else after.
func held(t *testing.T, looksFirst bool, options ...option) (s *site, old *oldLibrary, resume func() answer) {
	t.Helper()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	s, old = migrating(t, append([]option{asProgram(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			if looksFirst {
				_, _ = user.Get(session.From(r.Context()))
			}
			close(arrived)
			<-goOn
			session.Key[string]("held").Set(session.From(r.Context()), "written while the import ran")
			name, _ := user.Get(session.From(r.Context()))
			fmt.Fprint(w, name)
			return
		}
		storedApp(w, r)
	})}, options...)...)
	answered := make(chan answer, 1)
	header := s.header()
	go func() { answered <- s.bare("/held", header) }()
	<-arrived
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	return s, old, func() answer {
		release()
		return <-answered
	}
}

// Request A waits in its handler with the old cookie, B imports the session, and C
// carries the imported session. Then A writes. A finds the visitor logged in, and
// its write is kept.
func TestWriteOfARequestThatWasHeldDuringTheImport(t *testing.T) {
	for name, looksFirst := range map[string]bool{"it has read the session": true, "it has not": false} {
		for mode, sized := range map[middleware.Mode]int{middleware.AlwaysCookies: 10, middleware.Auto: 50_000, middleware.AlwaysStored: 10} {
			t.Run(fmt.Sprintf("%s, mode %d", name, mode), func(t *testing.T) {
				s, old, resume := held(t, looksFirst, config(func(c *middleware.Config) { c.Fallback.Mode = mode }))
				require.Equal(t, 200, s.grow("b", sized).StatusCode, "B")
				require.Equal(t, "ada", s.who(), "C")
				s.clock.advance(settled - time.Second)
				require.Equal(t, "ada", s.who(), "just before no request can be in flight any more")
				require.True(t, old.has("token"))
				a := resume()
				require.Equal(t, 200, a.StatusCode)
				require.Equal(t, "ada", a.body, "A finds the visitor logged in")
				s.receive(a)
				require.Equal(t, "b held note user", s.get("/names").body)
				require.Equal(t, fmt.Sprint(sized), s.length("b"))
				s.clock.advance(settled)
				require.Equal(t, "ada", s.who())
				require.False(t, s.has("old"))
				require.False(t, old.has("token"))
				require.Equal(t, "b held note user", s.get("/names").body)
			})
		}
	}
}

// The times that an importer returns are limited by the clock and by how long
// browsers keep cookies.
func TestImportedTimesAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		created, expires         time.Duration // from noon
		wantCreated, wantExpires time.Duration
	}{
		"as it was":                  {-time.Hour, 9 * time.Hour, -time.Hour, 9 * time.Hour},
		"it begins in the future":    {time.Hour, 9 * time.Hour, 0, 9 * time.Hour},
		"it ends after 400 days":     {-time.Hour, 2000 * 24 * time.Hour, -time.Hour, middleware.MaxLifetime - time.Hour},
		"it begins and ends in ages": {time.Hour, 2000 * 24 * time.Hour, 0, middleware.MaxLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			s, old := migrating(t, config(func(c *middleware.Config) { c.Lifetimes.Idle = -1 }), asProgram(func(w http.ResponseWriter, r *http.Request) {
				s := session.From(r.Context())
				fmt.Fprint(w, s.Created().Sub(noon), " ", s.Expires().Sub(noon))
			}))
			old.sessions["token"].Created, old.sessions["token"].Expires = noon.Add(test.created), noon.Add(test.expires)
			a := s.get("/")
			require.Equal(t, fmt.Sprint(test.wantCreated, " ", test.wantExpires), a.body)
			require.Len(t, a.Cookies(), 1)
			require.Equal(t, int(test.wantExpires/time.Second), a.Cookies()[0].MaxAge)
		})
	}
}

// renamed is an old library with another cookie.
type renamed struct {
	*oldLibrary
	name string
}

func (r renamed) Cookie() http.Cookie { return http.Cookie{Name: r.name, Path: "/"} }

// The id of an imported session depends on each part of its input, and on the
// boundaries between the parts.
func TestImportedIDsFollowFromEveryPart(t *testing.T) {
	ring := newRing(t)
	imported := func(audience, name, cookie, value string) string {
		old := &oldLibrary{sessions: map[string]*middleware.Imported{value: {Values: map[string]any{"user": "ada"}, Created: noon}}}
		s := newSite(t, app, config(func(c *middleware.Config) {
			c.Keys, c.Audience, c.Cookie.Name = ring, audience, name
			c.Migration.From, c.Migration.Until = []middleware.Importer{renamed{old, cookie}}, noon.Add(time.Hour)
		}))
		s.bare("/read", cookie+"="+value)
		events := s.events.of(middleware.EventImported)
		require.Len(t, events, 1)
		return events[0].SessionID
	}
	ids := map[string]bool{}
	for _, parts := range [][4]string{
		{"ab", "cd", "ef", "gh"},
		{"a", "bcd", "ef", "gh"},
		{"ab", "cde", "f", "gh"},
		{"ab", "cd", "efg", "h"},
		{"xb", "cd", "ef", "gh"},
		{"ab", "xd", "ef", "gh"},
		{"ab", "cd", "xf", "gh"},
		{"ab", "cd", "ef", "xh"},
	} {
		ids[imported(parts[0], parts[1], parts[2], parts[3])] = true
	}
	require.Len(t, ids, 8)
	ids[imported("ab", "cd", "ef", "gh")] = true
	require.Len(t, ids, 8, "equal inputs give equal ids")
}
