package middleware_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// adversary is a client with a jar of his own: he overlaps requests as he
// likes, keeps every cookie that he ever got, and sends any of them again.
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

// replica is one more, with the same keys.
func (a *adversary) replica(now func() time.Time, change func(*middleware.Config)) *middleware.Sessions {
	config := middleware.Config{Keys: a.ring, Clock: now}
	if change != nil {
		change(&config)
	}
	sessions, err := middleware.New(config)
	require.NoError(a.t, err)
	return sessions
}

// cookies is a jar: names and values.
type cookies map[string]string

func (c cookies) header() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		pairs = append(pairs, name+"="+c[name])
	}
	return strings.Join(pairs, "; ")
}

// and is c with what others hold beside it.
func (c cookies) and(others ...cookies) cookies {
	all := maps.Clone(c)
	for _, o := range others {
		maps.Copy(all, o)
	}
	return all
}

func (c cookies) without(others cookies) cookies {
	left := maps.Clone(c)
	maps.DeleteFunc(left, func(name, _ string) bool { return others[name] != "" })
	return left
}

// land applies Set-Cookie lines.
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

// open is a request that has been sent; its answer comes when land is called.
func open(m *middleware.Sessions, jar cookies, do func(*session.Session)) (answer func() ([]string, error)) {
	ctx, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodPost, Cookies: []string{jar.header()}})
	s := session.From(ctx)
	_ = s.Load(ctx)
	return func() ([]string, error) {
		do(s)
		fields, err := x.Commit(ctx, middleware.Response{Status: 200})
		return fields.SetCookie, err
	}
}

// ask is one request and its answer.
func (a *adversary) ask(jar cookies, do func(*session.Session)) {
	a.t.Helper()
	lines, err := open(a.sessions, jar, do)()
	require.NoError(a.t, err)
	jar.land(lines)
}

// sees is what a request with a jar sees, and why where it sees nothing.
func (a *adversary) sees(jar cookies) (all map[string]string, reason session.Reason) {
	a.t.Helper()
	all = map[string]string{}
	a.ask(maps.Clone(jar), func(s *session.Session) {
		for _, name := range s.Names() {
			all[name] = valueOf(s, name)
		}
		reason = s.Reason()
	})
	return all, reason
}

func set(name, value string) func(*session.Session) {
	return func(s *session.Session) { session.Key[string](name).Set(s, value) }
}

func remove(name string) func(*session.Session) {
	return func(s *session.Session) { s.Delete(name) }
}

// A jar that was copied goes two ways: in one a right is taken away, and long
// after, when its tombstone has been collected, something is written that the
// right would have forbidden. In the other way something else is deleted and
// collected later. The write of the one way must not be seen beside the right
// of the other.
func TestForkDoesNotBringBackWhatADeltaKnowsDead(t *testing.T) {
	a := newAdversary(t, func(c *middleware.Config) { c.IdleTimeout = -1 })
	root := cookies{}
	a.ask(root, func(s *session.Session) {
		set("user", strings.Repeat("ada ", 300))(s)
		set("sudo", "yes")(s)
	})
	way := func(first func(*session.Session)) cookies {
		jar := maps.Clone(root)
		a.ask(jar, first)
		for i := range 9 {
			a.clock.advance(25 * time.Minute)
			if a.ask(jar, func(*session.Session) {}); i > 0 && len(jar) == 1 {
				break // a read has tidied up
			}
			a.ask(jar, set("w", fmt.Sprint(i)))
		}
		require.Len(t, jar, 1)
		return jar
	}
	one := way(remove("sudo"))
	two := maps.Clone(root)
	a.ask(two, set("tmp", "1"))
	root = two
	two = way(remove("tmp"))
	before := maps.Clone(one)
	a.ask(one, set("w", "late"))
	delta := one.without(before)
	seen, reason := a.sees(two.and(delta))
	if seen["w"] == "late" {
		require.Empty(t, seen["sudo"], "w was set where sudo was gone (%v)", reason)
	}
}

func valueOf(s *session.Session, name string) string {
	v, _ := session.Key[string](name).Get(s)
	return v
}

// A logout may find the session idle while the answer that says that it is in
// use is still on its way. What lands then must not bring the session back.
func TestDestroyOfAnIdleSessionHoldsAgainstALateTouch(t *testing.T) {
	a := newAdversary(t, func(c *middleware.Config) { c.IdleTimeout, c.TouchAfter = time.Hour, time.Minute })
	jar := cookies{}
	a.ask(jar, set("user", "ada"))
	a.clock.advance(time.Hour - time.Second)
	touch, err := open(a.sessions, jar, func(s *session.Session) { s.Names() })()
	require.NoError(t, err)
	require.NotEmpty(t, touch, "in use for one second more")
	a.clock.advance(time.Second)
	a.ask(jar, func(s *session.Session) { s.Destroy() })
	jar.land(touch)
	seen, reason := a.sees(jar)
	require.Empty(t, seen, "logged out, and back again (%v)", reason)
}

// aYearAhead is a session that a replica has begun whose clock is a year ahead.
func aYearAhead(t *testing.T) (*adversary, cookies) {
	timeouts := func(c *middleware.Config) { c.IdleTimeout, c.TouchAfter = time.Hour, time.Minute }
	a := newAdversary(t, timeouts)
	ahead := a.replica(func() time.Time { return a.clock.Now().AddDate(1, 0, 0) }, timeouts)
	jar := cookies{}
	lines, err := open(ahead, jar, set("user", "ada"))()
	require.NoError(t, err)
	jar.land(lines)
	seen, _ := a.sees(jar)
	require.Equal(t, "ada", seen["user"], "the others take it")
	return a, jar
}

func TestSessionOfAYearAheadEnds(t *testing.T) {
	t.Skip("works: it neither becomes idle nor ends before next year; last-seen and created beyond now + 2s need a bound")
	a, jar := aYearAhead(t)
	a.clock.advance(11 * 24 * time.Hour)
	seen, _ := a.sees(jar)
	require.Empty(t, seen, "idle for 11 days of an hour, and past its end of 24 hours")
}

// What is deleted in such a session must not be remembered for a year, nor after
// a renewal, nor after a logout.
func TestSessionOfAYearAheadForgetsTombstones(t *testing.T) {
	t.Skip("works: every deletion stays for a year, until nothing can be written; a renewal and a logout keep the clock")
	for name, first := range map[string]func(*session.Session){
		"renewed":    func(s *session.Session) { s.Renew() },
		"logged out": func(s *session.Session) { s.Destroy() },
	} {
		t.Run(name, func(t *testing.T) {
			a, jar := aYearAhead(t)
			a.ask(jar, first)
			require.Less(t, a.churn(jar), 700)
		})
	}
}

// Where clocks agree it is forgotten.
func TestTombstonesAreForgotten(t *testing.T) {
	a, jar := newAdversary(t, nil), cookies{}
	a.ask(jar, set("user", "ada"))
	require.Less(t, a.churn(jar), 700)
}

// churn sets and deletes one name after the other and returns the size of the jar.
func (a *adversary) churn(jar cookies) int {
	for i := range 40 {
		a.ask(jar, set(fmt.Sprint("item", i), "1"))
		a.clock.advance(30 * time.Minute)
		a.ask(jar, remove(fmt.Sprint("item", i)))
	}
	return len(jar.header())
}

// A visitor's first session is an orphan as that of a cross-site request is; of
// two the first counts. Clocks that differ by what they may must not make the
// later one the first.
func TestCrossSiteRequestDoesNotDisplaceAFreshSession(t *testing.T) {
	t.Skip("works: within 2s of its beginning a session that was not renewed loses to one that a replica behind begins")
	a := newAdversary(t, nil)
	ahead := a.replica(func() time.Time { return a.clock.Now().Add(30 * time.Second) }, nil)
	behind := a.replica(func() time.Time { return a.clock.Now().Add(-30 * time.Second) }, nil)
	jar := cookies{}
	lines, err := open(ahead, jar, set("user", "ada"))()
	require.NoError(t, err)
	jar.land(lines)
	a.clock.advance(50 * time.Second)
	lines, err = open(behind, cookies{}, set("hits", "1"))()
	require.NoError(t, err)
	jar.land(lines)
	seen, _ := a.sees(jar)
	require.Equal(t, "ada", seen["user"])
}

// After a minute it does not, nor does one displace a renewed session ever.
func TestCrossSiteRequestsDoNotDisplace(t *testing.T) {
	for _, login := range []func(*session.Session){set("user", "ada"), func(s *session.Session) { s.Renew(); set("user", "ada")(s) }} {
		a := newAdversary(t, nil)
		jar := cookies{}
		a.ask(jar, login)
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

// A cookie that nobody here can open, and that comes back whatever is done (a
// sibling domain's), must not let every logout leave a mark of its own.
func TestLogoutMarksDoNotPileUp(t *testing.T) {
	a, other := newAdversary(t, func(c *middleware.Config) { c.Name = "plain" }), newAdversary(t, func(c *middleware.Config) { c.Name = "plain" })
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

// forge seals fragments of one session as the library would have, to make a
// large jar quickly.
func (a *adversary) forge(fragments ...*core.Fragment) cookies {
	jar := cookies{}
	for _, f := range fragments {
		f.Name()
		value, err := codec.Seal(nil, a.ring.Active(noon), codec.Binding{Base: "__Host-session", Suffix: f.Suffix}, f.Plaintext())
		require.NoError(a.t, err)
		jar["__Host-session."+f.Suffix] = string(value)
	}
	return jar
}

// burden is what one request with a Cookie header costs.
func (a *adversary) burden(name, header string) {
	a.t.Helper()
	for _, what := range []struct {
		name string
		do   func(*session.Session)
	}{{"read", func(s *session.Session) { s.Names() }}, {"write", set("zzz", "new")}} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		ctx, x := a.sessions.Begin(context.Background(), middleware.Request{Method: http.MethodPost, Cookies: []string{header}})
		s := session.From(ctx)
		what.do(s)
		reason := s.Reason()
		_, err := x.Commit(ctx, middleware.Response{Status: 200})
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		require.Less(a.t, took, 10*time.Second, "%s, %s", name, what.name)
		failed := ""
		if err != nil {
			failed = fmt.Sprintf("%.60s", err.Error())
		}
		a.t.Logf("%-40s %-5s %8d bytes of header: %12v, %7.1f MB allocated %s %s", name, what.name, len(header), took.Round(10*time.Microsecond),
			float64(after.TotalAlloc-before.TotalAlloc)/1e6, reason, failed)
	}
}

// fork makes n snapshots of one session with m entries each, of which the last
// differs: what a client gets who writes the same name again and again.
func fork(n, m int, horizon int64, apart bool) (all []*core.Fragment) {
	now := core.Millis(noon)
	for i := range n {
		f := &core.Fragment{Kind: core.Data, Root: core.Root{1}, Born: core.Stamp{At: now - 2e6, ID: 1}, Created: now - 2e6, End: now + 1e8, Seen: now - 1000, Horizon: horizon}
		for k := range m {
			name := fmt.Sprintf("%03d", k)
			if apart {
				name = fmt.Sprintf("%03d%03d", i, k)
			}
			f.Entries = append(f.Entries, core.Entry{Name: name, Stamp: core.Stamp{At: now - 2e6, ID: 1}, Value: []byte{1}})
		}
		f.Entries = append(f.Entries, core.Entry{Name: "zz", Stamp: core.Stamp{At: now - 1e6 + int64(i), ID: 1}, Value: []byte{1}})
		all = append(all, f)
	}
	return all
}

// chained is n deltas, each of which needs the one before; the first is missing.
func chained(n int) (all []*core.Fragment) {
	now := core.Millis(noon)
	at := func(i int) core.Stamp { return core.Stamp{At: now - 1e6 + int64(i), ID: 1} }
	for i := range n {
		all = append(all, &core.Fragment{Kind: core.Data, Root: core.Root{1}, Born: core.Stamp{At: now - 2e6, ID: 1}, Created: now - 2e6, End: now + 1e8, Seen: now - 1000,
			Entries: []core.Entry{{Name: string(rune('a' + i%2)), Stamp: at(i), Value: []byte{1}}},
			Needs:   []core.Need{{Name: string(rune('a' + (i+1)%2)), Stamp: at(i - 1)}}})
	}
	return all
}

func (c cookies) upTo(bytes int) string {
	h := c.header()
	if len(h) > bytes {
		h = h[:strings.LastIndex(h[:bytes], ";")]
	}
	return h
}

// TestBurdens measures what the worst requests cost that a client can make, and
// fails where that is seconds.
func TestBurdens(t *testing.T) {
	for _, size := range []int{32 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			a := newAdversary(t, func(c *middleware.Config) { c.IdleTimeout = -1 })
			now, many := core.Millis(noon), size/2500
			a.burden("a chain of deltas without a base", a.forge(chained(size/300)...).upTo(size))
			a.burden("small snapshots, horizons", a.forge(fork(size/300, 1, now-1500e3, false)...).upTo(size))
			a.burden("garbage pieces of one name", repeated(size/60, func(i int) string {
				return fmt.Sprintf("__Host-session.aaaaaaaaaa.%d=%040d", i%60+1, i)
			}))
			a.burden("twins that differ at their ends", repeated(size/1100, func(i int) string {
				return "__Host-session.aaaaaaaaaa=" + strings.Repeat("A", 1000) + fmt.Sprintf("%05d", i)
			}))
			a.burden("garbage of many names", repeated(size/30, func(i int) string { return "__Host-session." + numbered(i) + "=x" }))
			a.burden("four pieces twice, of a key that is known", a.twins(size))
			a.burden("not ours", strings.Repeat("a=b; ", size/5))
			if size > 1<<16 && os.Getenv("CARRYON_BURDENS") == "" {
				t.Skip("20 to 30 s and 0.7 GB for one request: the merge's work grows with the square of the entries")
			}
			a.burden("snapshots, many entries, no horizon", a.forge(fork(many, 150, 0, false)...).upTo(size))
			a.burden("snapshots, other entries each", a.forge(fork(many, 120, 0, true)...).upTo(size))
			a.burden("snapshots, many entries, horizons", a.forge(fork(many, 150, now-1500e3, false)...).upTo(size))
		})
	}
}

func repeated(n int, pair func(i int) string) string {
	var all []string
	for i := range n {
		all = append(all, pair(i))
	}
	return strings.Join(all, "; ")
}

// twins is a header that has the right form and key, in pieces that are each
// there twice, so that there are sixteen ways to read it, none of which opens.
func (a *adversary) twins(size int) string {
	id := a.ring.Active(noon).ID()
	total := size / 2 / 4 * 3
	total -= total % 3
	raw := make([]byte, total)
	copy(raw, append(append([]byte{1}, id[:]...), byte(total>>16), byte(total>>8), byte(total)))
	text := base64.RawURLEncoding.EncodeToString(raw)
	var all []string
	for i := range 4 {
		piece, name := text[i*len(text)/4:(i+1)*len(text)/4], "__Host-session.aaaaaaaaaa"
		if i > 0 {
			name += fmt.Sprint(".", i)
		}
		all = append(all, name+"="+piece, name+"="+piece[:len(piece)-1]+"B")
	}
	return strings.Join(all, "; ")
}

func numbered(i int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := []byte("aaaaaaaaaa")
	for k := range 4 {
		b[k] = letters[i%32]
		i /= 32
	}
	return string(b)
}
