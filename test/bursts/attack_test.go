package bursts_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/test/internal/notes"
)

// known lists the reasons that a visitor can get.
var known = []reason.Reason{reason.None, reason.Absent, reason.UnknownKey, reason.DeadKey, reason.Torn, reason.Malformed,
	reason.WrongLength, reason.UnknownFormat, reason.BadSeal, reason.TooMany, reason.LoggedOut}

// Between requests, cookies are evicted, restored and mixed with older ones.
// Responses must not be 500, entries must not be mixed, and every shown value
// must have been written.
func TestEvictReplayReorder(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { mangle(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func mangle(t *testing.T, r *rand.Rand) {
	site, clock := newSite(t, middleware.Default)
	v := newVisitor(t, site)
	written := map[string]bool{}
	var past []map[string]string
	for step := range 60 {
		name, by := fmt.Sprintf("n%d", r.IntN(8)), fmt.Sprintf("w%d", step)
		form := setting(name, by, r.IntN(900), 0)
		path := "/set"
		switch r.IntN(12) {
		case 0:
			path = "/delete"
		case 1:
			path, name = "/login", "user"
			written["role="+by] = true
		case 2:
			path = "/logout"
		}
		a, err := v.send(site, "POST", path, form, v.jar.header())
		require.NoError(t, err)
		require.NotEqual(t, 500, a.status, a.body)
		require.NoError(t, a.fault())
		written[name+"="+by] = true
		past = append(past, v.jar.copy())
		v.jar.apply(a.lines)
		v.jar.mangle(r, past)
		if r.IntN(4) == 0 {
			clock.Move(time.Duration(r.IntN(5000)) * time.Millisecond)
		}
		p := v.page()
		require.Contains(t, known, p.Reason)
		for name, note := range p.Notes {
			require.True(t, written[name+"="+note.Left], "the page shows %s=%s, which was never written", name, note.Left)
		}
		require.Equal(t, p.Notes["user"].Left, p.Notes["role"].Left, "the two entries of a login must be equal")
	}
}

// mangle deletes some cookies, restores older ones, swaps two values and
// truncates one.
func (p *cookieJar) mangle(r *rand.Rand, past []map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.cookies {
		if r.IntN(8) == 0 {
			delete(p.cookies, name)
		}
	}
	if r.IntN(3) == 0 {
		for name, value := range past[r.IntN(len(past))] {
			if r.IntN(2) == 0 {
				p.cookies[name] = value
			}
		}
	}
	if r.IntN(10) == 0 {
		for name, value := range p.cookies {
			p.cookies[name] = value[:r.IntN(len(value))]
			break
		}
	}
	if r.IntN(10) == 0 && len(p.cookies) > 1 {
		last := ""
		for name, value := range p.cookies {
			if last != "" {
				p.cookies[name], p.cookies[last] = p.cookies[last], value
				break
			}
			last = name
		}
	}
}

// The ring is rotated between bursts, and one replica keeps the old ring. The
// updated replica must have all acknowledged writes, and the old one must
// report the reason.
func TestRotationWithAReplicaLeftBehind(t *testing.T) {
	for round := range 10 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { leftBehind(t, sizes[round%len(sizes)]) })
	}
}

func leftBehind(t *testing.T, size int) {
	clock := &notes.Clock{}
	old := newRing(t)
	next, _, err := old.Rotate(clock.Now(), keyring.Policy{ActivateIn: -1})
	require.NoError(t, err)
	replica := func(ring *keyring.Ring) *notes.Site {
		return notes.New(t, middleware.Config{Keys: ring, Clock: clock.Now})
	}
	before, stale, fresh := replica(old), replica(old), replica(next)
	v := newVisitor(t, before)
	v.grow(size)
	v.burst(6, func(i int) (string, url.Values) { return "/set", setting(fmt.Sprintf("m%d", i), "a", 5, some(5)) })
	v.site = fresh
	v.checkAcked("after the rotation")
	for i := range 30 {
		v.site = fresh
		if rand.IntN(3) == 0 {
			v.site = stale
		}
		a, err := v.send(v.site, "POST", "/set", setting(fmt.Sprintf("m%d", i%6), fmt.Sprintf("m%d", i), 10, 0), v.jar.header())
		require.NoError(t, err)
		if a.status == notes.StatusUnknownKey {
			require.Equal(t, stale, v.site)
			require.Empty(t, a.lines)
			a.lines, a.name = nil, ""
		} else {
			v.take(a)
		}
		clock.Move(some(2000))
		v.site = fresh
		v.checkAcked("on the updated replica")
		read, err := v.send(stale, "GET", "/all", nil, v.jar.header())
		require.NoError(t, err)
		p := parse(t, read)
		require.Contains(t, []reason.Reason{reason.None, reason.UnknownKey}, p.Reason)
		v.jar.apply(read.lines)
	}
	v.burst(6, func(i int) (string, url.Values) { return "/set", setting(fmt.Sprintf("m%d", i), "z", 5, some(5)) })
	v.settle(clock)
	v.checkAcked("on the updated replica, at the end")
	require.Zero(t, fresh.Meter.Most().Events[middleware.EventWhole])
}

// Both replicas respond to one burst. The old replica seals with the old key,
// and the updated one can open that.
func TestBurstOverTwoRings(t *testing.T) {
	for range 10 {
		clock := &notes.Clock{}
		old := newRing(t)
		next, _, err := old.Rotate(clock.Now(), keyring.Policy{ActivateIn: -1})
		require.NoError(t, err)
		stale := notes.New(t, middleware.Config{Keys: old, Clock: clock.Now})
		fresh := notes.New(t, middleware.Config{Keys: next, Clock: clock.Now})
		v := newVisitor(t, stale)
		v.grow(500)
		cookies := v.jar.header()
		var answers []answer
		for i := range 6 {
			site := []*notes.Site{stale, fresh}[i%2]
			a, err := v.send(site, "POST", "/set", setting(fmt.Sprintf("n%d", i), "n", 20, some(5)), cookies)
			require.NoError(t, err)
			answers = append(answers, a)
		}
		rand.Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
		for _, a := range answers {
			v.take(a)
		}
		v.site = fresh
		v.checkAcked("on the updated replica")
		v.settle(clock)
		v.checkAcked("after the burst")
	}
}

// overlap sends two requests with the same cookies and applies the responses in
// the given order: that of the slow request last.
func (v *visitor) overlap(slow, quick func(cookies string) answer) {
	v.t.Helper()
	cookies := v.jar.header()
	s := slow(cookies)
	v.take(quick(cookies))
	v.take(s)
}

func (v *visitor) request(method, path string, form url.Values) func(string) answer {
	return func(cookies string) answer {
		a, err := v.send(v.site, method, path, form, cookies)
		require.NoError(v.t, err)
		return a
	}
}

func TestSlowReadDoesNotUndoAWrite(t *testing.T) {
	for _, size := range sizes {
		site, clock := newSite(t, middleware.Default)
		v := newVisitor(t, site)
		v.grow(size)
		for i := range 5 {
			v.set(fmt.Sprintf("part%d", i), "p", 10)
		}
		clock.Move(61 * time.Minute) // a touch is due, and no requests overlap any more
		v.overlap(v.request("GET", "/all", nil), v.request("POST", "/set", setting("x", "new", 10, 0)))
		v.checkAcked("after the slow read")
	}
}

func TestSlowWriteDoesNotUndoALogout(t *testing.T) {
	for _, size := range sizes {
		site, clock := newSite(t, middleware.Default)
		v := newVisitor(t, site)
		v.do("POST", "/login", url.Values{"by": {"ada"}})
		v.grow(size)
		v.overlap(v.request("POST", "/set", setting("x", "late", 500, 0)), v.request("POST", "/logout", nil))
		for range 3 {
			p := v.page()
			require.Empty(t, p.Notes)
			require.Equal(t, reason.LoggedOut, p.Reason)
			clock.Move(3 * time.Second)
		}
		v.acked = map[string]string{}
		v.set("x", "after", 5)
		v.checkAcked("a new session")
		require.Len(t, v.page().Notes, 1)
	}
}

// A write that was sent before a login, and processed after it, must not undo
// the login. This must hold wherever the session is stored, and for either
// order of the responses.
func TestLateWriteDoesNotUndoALogin(t *testing.T) {
	for _, k := range kinds {
		for _, size := range []int{100, 40_000} {
			for _, order := range []string{"login, write", "write, login"} {
				t.Run(fmt.Sprint(k.name, " ", size, " ", order), func(t *testing.T) {
					if size > 20_000 && !k.store {
						t.Skip("the session is too large for cookies")
					}
					site, _ := k.site(t, middleware.Default)
					v := newVisitor(t, site)
					v.grow(size)
					cookies := v.jar.header()
					login := v.request("POST", "/login", url.Values{"by": {"ada"}})(cookies)
					require.Equal(t, http.StatusOK, login.status, login.body)
					write := v.request("POST", "/set", setting("base0", "late", 10, 0))(cookies)
					answers := []answer{login, write}
					if order == "write, login" {
						answers = []answer{write, login}
					}
					for _, a := range answers {
						require.NoError(t, a.fault())
						v.jar.apply(a.lines)
					}
					p := v.page()
					require.Equal(t, "ada", p.Notes["user"].Left, "the write got status %d, and the reason is now %q", write.status, p.Reason)
					require.Equal(t, "b1", p.Notes["base1"].Left)
				})
			}
		}
	}
}

func TestCrossSiteWriteDoesNotLogOut(t *testing.T) {
	site, clock := newSite(t, middleware.Default)
	v := newVisitor(t, site)
	v.do("POST", "/login", url.Values{"by": {"ada"}})
	v.set("x", "mine", 100)
	before := v.page()
	for range 3 { // SameSite=Lax: a cross-site POST has no cookies
		a, err := v.send(site, "POST", "/set", setting("x", "theirs", 10, 0), "")
		require.NoError(t, err)
		require.Equal(t, 200, a.status)
		v.jar.apply(a.lines)
		clock.Move(time.Minute)
		require.Equal(t, before, v.page())
	}
	v.set("y", "mine", 10)
	v.checkAcked("after the cross-site requests")
	require.Len(t, v.page().Notes, 4)
}

func TestTwoLoginsGiveOneWhole(t *testing.T) {
	for round := range 20 {
		site, clock := newSite(t, middleware.Default)
		v := newVisitor(t, site)
		if round%2 == 0 {
			v.grow(300)
		}
		v.overlap(v.request("POST", "/login", url.Values{"by": {"ada"}}), v.request("POST", "/login", url.Values{"by": {"eve"}}))
		first := v.page().Notes["user"].Left
		require.Contains(t, []string{"ada", "eve"}, first)
		for range 2 {
			p := v.page()
			require.Equal(t, first, p.Notes["user"].Left)
			require.Equal(t, first, p.Notes["role"].Left)
			v.settle(clock)
		}
		v.set("x", first, 5)
		v.checkAcked("after the logins")
		require.LessOrEqual(t, len(v.jar.names()), 2, "at most a head and a cell must remain")
	}
}

// Sessions work with the cookie jar of net/http.
func TestNetHTTPCookieJar(t *testing.T) {
	for _, platform := range middleware.Platforms() {
		t.Run(name(platform), func(t *testing.T) {
			clock := &notes.Clock{}
			site := notes.New(t, middleware.Config{Keys: newRing(t), Platform: platform, Clock: clock.Now,
				Cookie: middleware.Cookie{DangerouslyAllowPlainHTTP: true}, Logger: slog.New(slog.DiscardHandler)}) // that jar sends Secure cookies over TLS only
			v := newVisitor(t, site)
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			v.http = &http.Client{Timeout: patience, Transport: client.Transport, Jar: jar}
			v.set("first", "f", 0)
			for i := range 6 {
				v.set(fmt.Sprintf("n%d", i), "begun", 10)
			}
			for round := range 5 {
				v.set("first", "f", 0)
				v.burst(6, func(i int) (string, url.Values) {
					return "/set", setting(fmt.Sprintf("n%d", i), fmt.Sprint(round), 10, some(5))
				})
				clock.Move(10 * time.Minute)
				v.checkAcked("after the burst")
			}
			most := site.Meter.Most()
			require.Empty(t, most.Refused)
			require.Zero(t, most.Events[middleware.EventWhole])
		})
	}
}
