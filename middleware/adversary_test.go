package middleware_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// adversary is a client that overlaps requests, keeps every cookie that it ever
// got, and sends any of them again.
type adversary struct {
	t        testing.TB
	clock    *clock
	ring     *keyring.Ring
	sessions *middleware.Sessions
}

func newAdversary(t testing.TB, change func(*middleware.Config)) *adversary {
	t.Helper()
	a := &adversary{t: t, clock: &clock{now: noon}, ring: newRing(t)}
	a.sessions = a.replica(a.clock.Now, change)
	return a
}

// replica returns another replica with the same keys.
func (a *adversary) replica(now func() time.Time, change func(*middleware.Config)) *middleware.Sessions {
	config := middleware.Config{Keys: a.ring, Clock: now, Logger: quiet}
	if change != nil {
		change(&config)
	}
	sessions, err := middleware.New(config)
	require.NoError(a.t, err)
	return sessions
}

// cookies is a cookie jar: values by name.
type cookies map[string]string

func (c cookies) header() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		pairs = append(pairs, name+"="+c[name])
	}
	return strings.Join(pairs, "; ")
}

// and returns c with the cookies of others added.
func (c cookies) and(others ...cookies) cookies {
	all := maps.Clone(c)
	for _, o := range others {
		maps.Copy(all, o)
	}
	return all
}

// land applies the Set-Cookie lines of a response.
func (c cookies) land(lines []string) {
	for _, line := range lines {
		parsed, err := http.ParseSetCookie(line)
		if err != nil {
			panic(err)
		}
		if parsed.MaxAge < 0 {
			delete(c, parsed.Name)
		} else {
			c[parsed.Name] = parsed.Value
		}
	}
}

// open sends a request. The handler runs, and the response comes, when answer is
// called.
func open(m *middleware.Sessions, jar cookies, do func(*session.Session), more ...string) (answer func() ([]string, error)) {
	ctx, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodPost, Cookies: append([]string{jar.header()}, more...)})
	s := session.From(ctx)
	_ = s.Load(ctx)
	return func() ([]string, error) {
		do(s)
		fields, err := x.Commit(ctx, middleware.Response{Status: 200})
		return fields.SetCookie, err
	}
}

// ask sends a request and applies its response to the jar.
func (a *adversary) ask(jar cookies, do func(*session.Session)) {
	a.t.Helper()
	lines, err := open(a.sessions, jar, do)()
	require.NoError(a.t, err)
	jar.land(lines)
}

// sees returns the values that a request with the jar reads, and the session's
// reason.
func (a *adversary) sees(jar cookies) (all map[string]string, why reason.Reason) {
	a.t.Helper()
	all = map[string]string{}
	a.ask(maps.Clone(jar), func(s *session.Session) {
		for _, name := range s.Names() {
			all[name] = valueOf(s, name)
		}
		why = s.Reason()
	})
	return all, why
}

func set(name, value string) func(*session.Session) {
	return func(s *session.Session) { session.Key[string](name).Set(s, value) }
}

func remove(name string) func(*session.Session) {
	return func(s *session.Session) { s.Delete(name) }
}

// A logout may find the session idle while a touch that keeps it alive is still in
// flight. The touch must not bring the session back when it arrives.
func TestDestroyOfAnIdleSessionHoldsAgainstALateTouch(t *testing.T) {
	a := newAdversary(t, func(c *middleware.Config) { c.Lifetimes.Idle, c.Lifetimes.TouchAfter = time.Hour, time.Minute })
	jar := cookies{}
	a.ask(jar, set("user", "ada"))
	a.clock.advance(time.Hour - time.Second)
	touch, err := open(a.sessions, jar, func(s *session.Session) { s.Names() })()
	require.NoError(t, err)
	require.NotEmpty(t, touch, "the session is not idle for another second")
	a.clock.advance(time.Second)
	a.ask(jar, func(s *session.Session) { s.Destroy() })
	jar.land(touch)
	seen, reason := a.sees(jar)
	require.Empty(t, seen, "the session is back after its logout (%v)", reason)
}

// A session from a replica whose clock is a year ahead would neither become idle
// nor expire. The other replicas refuse it.
func TestSessionOfAYearAheadIsRefused(t *testing.T) {
	a := newAdversary(t, nil)
	ahead := a.replica(func() time.Time { return a.clock.Now().AddDate(1, 0, 0) }, nil)
	jar := cookies{}
	lines, err := open(ahead, jar, set("user", "ada"))()
	require.NoError(t, err)
	jar.land(lines)
	seen, why := a.sees(jar)
	require.Empty(t, seen)
	require.Equal(t, reason.Torn, why)
	a.ask(jar, set("user", "grace"))
	seen, _ = a.sees(jar)
	require.Equal(t, "grace", seen["user"], "a new session has begun")
}

// Tombstones of deleted entries are removed in the end.
func TestTombstonesAreForgotten(t *testing.T) {
	a, jar := newAdversary(t, nil), cookies{}
	a.ask(jar, set("user", "ada"))
	require.Less(t, a.churn(jar), 1100)
}

// churn sets and deletes one name after the other, and returns the size of the
// jar.
func (a *adversary) churn(jar cookies) int {
	for i := range 40 {
		a.ask(jar, set(fmt.Sprint("item", i), "1"))
		a.clock.advance(30 * time.Minute)
		a.ask(jar, remove(fmt.Sprint("item", i)))
	}
	return len(jar.header())
}

// A cross-site request that carries no cookies may begin a session, as an orphan.
// An orphan displaces neither a login nor a session that was written to.
func TestCrossSiteRequestsDoNotDisplace(t *testing.T) {
	login := func(s *session.Session) { s.Renew(); set("user", "ada")(s) }
	for _, begin := range [][]func(*session.Session){{login}, {set("user", "ada"), set("seen", "1")}} {
		a := newAdversary(t, nil)
		jar := cookies{}
		for _, do := range begin {
			a.ask(jar, do)
		}
		for range 5 {
			a.clock.advance(time.Minute)
			lines, err := open(a.sessions, cookies{}, set("hits", "1"))()
			require.NoError(t, err)
			jar.land(lines)
			seen, _ := a.sees(jar)
			require.Equal(t, "ada", seen["user"])
		}
	}
}

// A sibling domain may plant a cookie that this program cannot open, again and
// again. Logouts beside such a cookie must not add a logout marker each time.
func TestLogoutMarksDoNotPileUp(t *testing.T) {
	a, other := newAdversary(t, func(c *middleware.Config) { c.Cookie.Name = "plain" }), newAdversary(t, func(c *middleware.Config) { c.Cookie.Name = "plain" })
	jar, planted := cookies{}, cookies{}
	a.ask(jar, set("user", "ada"))
	other.ask(planted, set("user", "eve"))
	for range 50 {
		jar = jar.and(planted)
		a.clock.advance(time.Minute)
		a.ask(jar, func(s *session.Session) { s.Destroy() })
	}
	require.LessOrEqual(t, len(jar.and(planted)), 3)
}

func valueOf(s *session.Session, name string) string {
	v, _ := session.Key[string](name).Get(s)
	return v
}
