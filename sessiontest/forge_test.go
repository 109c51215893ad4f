package sessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// newSessions is a program's middleware at noon, with a store.
func newSessions(t testing.TB, change func(c *middleware.Config)) (*middleware.Sessions, *sessiontest.Clock) {
	clock := sessiontest.NewClock(noon)
	ring, err := keyring.Generate(noon.Add(-time.Hour))
	require.NoError(t, err)
	memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: clock.Now})
	require.NoError(t, err)
	c := middleware.Config{Keys: ring, Clock: clock.Now, Fallback: middleware.Fallback{Store: memory}}
	if change != nil {
		change(&c)
	}
	sessions, err := middleware.New(c)
	require.NoError(t, err)
	return sessions, clock
}

func as(name string) func(*session.Session) {
	return func(s *session.Session) { user.Set(s, name) }
}

func TestForgedSessionIsRecognised(t *testing.T) {
	for name, size := range map[string]int{"one cookie": 10, "several cookies or the store": 3000, "the store": 30_000} {
		t.Run(name, func(t *testing.T) {
			sessions, _ := newSessions(t, nil)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Cookie", "theme=dark")
			sessiontest.Forge(t, sessions, r, as(strings.Repeat("x", size)))
			sessiontest.Forge(t, sessions, r, func(s *session.Session) { visits.Set(s, 6) })
			require.Contains(t, r.Header.Get("Cookie"), "theme=dark")
			require.Len(t, r.Header["Cookie"], 1)

			w := httptest.NewRecorder()
			sessions.Handler(http.HandlerFunc(greet)).ServeHTTP(w, r)
			require.Equal(t, "你好 "+strings.Repeat("x", size), w.Body.String())

			s := sessiontest.Left(t, sessions, r, w.Result())
			sessiontest.Holds(t, s, visits, 7)
			visits.Set(s, 100)
			sessiontest.Holds(t, sessiontest.Left(t, sessions, r, w.Result()), visits, 7)
		})
	}
}

func TestLeftAfterALogout(t *testing.T) {
	sessions, _ := newSessions(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	sessiontest.Forge(t, sessions, r, as("张三"))
	w := httptest.NewRecorder()
	sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session.From(r.Context()).Destroy()
	})).ServeHTTP(w, r)
	s := sessiontest.Left(t, sessions, r, w.Result())
	sessiontest.Lacks(t, s)
	sessiontest.RefusedFor(t, s, reason.LoggedOut)
}

func TestJarForgesAndReads(t *testing.T) {
	sessions, clock := newSessions(t, nil)
	browser := &sessiontest.Jar{Clock: clock.Now}
	browser.Forge(t, sessions, as("张三"))
	require.True(t, browser.All()[0].HttpOnly, "the attributes are the real ones")
	sessiontest.Holds(t, browser.Session(t, sessions), user, "张三")

	clock.Advance(middleware.DefaultIdleTimeout)
	sessiontest.RefusedFor(t, browser.Session(t, sessions), reason.ExpiredIdle)
	sessiontest.Lacks(t, (&sessiontest.Jar{}).Session(t, sessions))
}

func TestForgeFailsTheTestForWhatDoesNotFit(t *testing.T) {
	sessions, _ := newSessions(t, func(c *middleware.Config) { c.Fallback.Store = nil })
	inner := &fatalT{TB: t}
	func() {
		defer func() { _ = recover() }()
		sessiontest.Forge(inner, sessions, httptest.NewRequest(http.MethodGet, "/", nil), as(strings.Repeat("x", 100_000)))
	}()
	require.Contains(t, inner.said, "cannot be written: carryon: session too large: it needs ")
}

// fatalT notes what a test would have been told.
type fatalT struct {
	testing.TB
	said string
}

func (t *fatalT) Helper()                           {}
func (t *fatalT) Errorf(format string, args ...any) { t.said += fmt.Sprintf(format, args...) + "\n" }
func (t *fatalT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic("the test ends")
}

func TestAssertionsCanFail(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(user, "张三"))
	for want, check := range map[string]func(t testing.TB){
		"":                            func(t testing.TB) { sessiontest.Holds(t, s, user, "张三") },
		`has "张三" under "user"`:       func(t testing.TB) { sessiontest.Holds(t, s, user, "李四") },
		`no "visits" (carryon: the`:   func(t testing.TB) { sessiontest.Holds(t, s, visits, 0) },
		`has a value under "user"`:    func(t testing.TB) { sessiontest.Lacks(t, s) },
		` under "user"; want none`:    func(t testing.TB) { sessiontest.Lacks(t, s, "visits", "user") },
		`reason is ""; want "absent"`: func(t testing.TB) { sessiontest.RefusedFor(t, s, reason.Absent) },
		"could not be loaded: down": func(t testing.TB) {
			sessiontest.Lacks(t, sessiontest.New(t, sessiontest.LoadError(fmt.Errorf("down"))))
		},
		`sets the cookie "a"`: func(t testing.TB) {
			sessiontest.SetsNoCookie(t, &http.Response{Header: http.Header{"Set-Cookie": {"a=b"}}})
		},
	} {
		inner := &fatalT{TB: t}
		check(inner)
		if want == "" {
			require.Empty(t, inner.said)
		}
		require.Contains(t, inner.said, want)
	}
	inner := &fatalT{TB: t}
	sessiontest.Lacks(inner, s, "visits")
	sessiontest.SetsNoCookie(inner, &http.Response{Header: http.Header{}})
	require.Empty(t, inner.said)
}

func TestClock(t *testing.T) {
	c := sessiontest.NewClock(noon)
	ahead, behind := c.Skewed(30*time.Second), c.Skewed(-time.Minute)
	c.Advance(time.Hour)
	require.Equal(t, noon.Add(time.Hour), c.Now())
	require.Equal(t, noon.Add(time.Hour+30*time.Second), ahead())
	require.Equal(t, noon.Add(time.Hour-time.Minute), behind())
	c.Advance(-time.Hour)
	require.Equal(t, noon, c.Now())

	var zero sessiontest.Clock
	began := zero.Now()
	require.WithinDuration(t, time.Now(), began, time.Minute)
	require.Equal(t, began, zero.Now(), "it stands still")
	zero.Advance(time.Second)
	require.Equal(t, began.Add(time.Second), zero.Now())
}
