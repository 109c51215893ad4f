// Package bursts_test attacks sessions through real sockets, proxies and
// browsers, and with a cookie jar of its own. The attacks combine concurrent
// writers, responses in any order, lost, restored and shuffled cookies, and
// replicas with an old ring.
package bursts_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/internal/notes"
)

// patience limits every call. Only failing tests wait for it.
const patience = 60 * time.Second

// sizes are the sizes of the sessions, in bytes of values.
var sizes = []int{200, 2000, 8000}

// A cookieJar is minimal: each name has one value, and an expiry in the past
// deletes it. It drops no cookie because of size or number, and sends the
// cookies in random order.
type cookieJar struct {
	mu      sync.Mutex
	cookies map[string]string
}

func (p *cookieJar) header() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	pairs := make([]string, 0, len(p.cookies))
	for name, value := range p.cookies {
		pairs = append(pairs, name+"="+value)
	}
	rand.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	return strings.Join(pairs, "; ")
}

func (p *cookieJar) apply(lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range lines {
		pair, attributes, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if strings.Contains(strings.ToLower(attributes), "max-age=0") {
			delete(p.cookies, name)
			continue
		}
		p.cookies[name] = value
	}
}

func (p *cookieJar) names() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.cookies {
		all = append(all, name)
	}
	return all
}

func (p *cookieJar) copy() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := make(map[string]string, len(p.cookies))
	for name, value := range p.cookies {
		c[name] = value
	}
	return c
}

// field returns the length of the Cookie header.
func (p *cookieJar) field() int { return len(p.header()) }

// A visitor is a client: a cookie jar, and the writes that were acknowledged to
// it.
type visitor struct {
	t    *testing.T
	site *notes.Site
	base string // the site's address; "" for its own
	what string // what is being tested
	http *http.Client
	jar  *cookieJar

	mu    sync.Mutex
	acked map[string]string // name → by, of the last acknowledged write
}

// An answer is a response that has not been applied to the jar.
type answer struct {
	status  int
	body    string
	lines   []string
	entries []string // the entries that a refusal names
	ours    bool     // from the program, not from a proxy
	name    string   // the written entry, or ""
	by      string
}

var client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// oneShot uses a new connection for each request. A busy proxy may close an
// idle connection while a request is on its way, and a POST is not retried.
var oneShot = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

func newVisitor(t *testing.T, s *notes.Site) *visitor {
	return &visitor{t: t, site: s, http: client, jar: &cookieJar{cookies: map[string]string{}}, acked: map[string]string{}}
}

// send sends a request with the given cookies. It may be called concurrently.
func (v *visitor) send(site *notes.Site, method, path string, form url.Values, cookies string) (answer, error) {
	base := site.URL
	if v.base != "" {
		base = v.base
	}
	r, err := http.NewRequest(method, base+path+"?"+form.Encode(), nil)
	if err != nil {
		return answer{}, err
	}
	if cookies != "" && v.http.Jar == nil {
		r.Header.Set("Cookie", cookies)
	}
	response, err := v.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, body: string(body), lines: response.Header["Set-Cookie"],
		entries: response.Header[notes.FieldEntries], ours: response.Header.Get(notes.FieldProgram) != "",
		name: form.Get("name"), by: form.Get("by")}, err
}

// do sends a request and applies its response at once.
func (v *visitor) do(method, path string, form url.Values) answer {
	v.t.Helper()
	a, err := v.send(v.site, method, path, form, v.jar.header())
	require.NoError(v.t, err)
	v.take(a)
	return a
}

// take applies a response. An acknowledged write must be visible from now on. A
// refusal must name its reason and change nothing.
func (v *visitor) take(a answer) {
	v.t.Helper()
	require.NoError(v.t, a.fault())
	v.jar.apply(a.lines)
	v.note(a)
}

// fault returns an error if a response is neither a success nor a named
// refusal.
func (a *answer) fault() error {
	switch {
	case !a.ours:
		return fmt.Errorf("the proxy returned status %d: %.200s", a.status, a.body)
	case a.status == http.StatusOK:
		return nil
	case len(a.lines) > 0:
	case a.status == notes.StatusTooLarge, a.status == notes.StatusStoreDown, a.status == notes.StatusEnded:
		return nil
	}
	return fmt.Errorf("%d with %d Set-Cookie lines: %s", a.status, len(a.lines), a.body)
}

// note records an acknowledged write.
func (v *visitor) note(a answer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a.status == http.StatusOK && a.name != "" {
		v.acked[a.name] = a.by
	}
}

func (v *visitor) set(name, by string, size int) answer {
	v.t.Helper()
	return v.do("POST", "/set", setting(name, by, size, 0))
}

func setting(name, by string, size int, wait time.Duration) url.Values {
	return url.Values{"name": {name}, "by": {by}, "size": {fmt.Sprint(size)}, "wait": {wait.String()}}
}

// page reads the session, and checks that values which were written together
// are equal.
func (v *visitor) page() notes.Page {
	v.t.Helper()
	a := v.do("GET", "/all", nil)
	return parse(v.t, a)
}

func parse(t *testing.T, a answer) (p notes.Page) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	for name, note := range p.Notes {
		require.Equal(t, note.Left, note.Right, "%s is mixed", name)
	}
	return p
}

// checkAcked reads the session and requires every acknowledged write.
func (v *visitor) checkAcked(when string) {
	v.t.Helper()
	p := v.page()
	for name, by := range v.acked {
		note, ok := p.Notes[name]
		require.True(v.t, ok, "%s: the acknowledged write of %s is missing (reason %q, %d of %d found, %d cookies)",
			when, name, p.Reason, len(p.Notes), len(v.acked), len(v.jar.names()))
		require.Equal(v.t, by, note.Left, "%s: %s", when, name)
	}
}

// settled is longer than any request is in flight (SPEC.md, section "Time").
// After it, the library may remove obsolete cookies.
const settled = 18 * time.Minute

// settle waits until a burst is over, and then reads, so that obsolete cookies
// are removed.
func (v *visitor) settle(clock *notes.Clock) {
	v.t.Helper()
	clock.Move(settled)
	v.page()
}

// burst sends n requests with the same cookies and applies the responses in
// random order. It returns how many writes were acknowledged.
func (v *visitor) burst(n int, request func(i int) (path string, form url.Values)) (done int) {
	v.t.Helper()
	for _, a := range v.together(n, func(i int) (string, string, url.Values) {
		path, form := request(i)
		return "POST", path, form
	}) {
		v.take(a)
		if a.status == http.StatusOK {
			done++
		}
	}
	return done
}

// together sends n requests with the same cookies, and returns the responses in
// random order.
func (v *visitor) together(n int, request func(i int) (method, path string, form url.Values)) (all []answer) {
	v.t.Helper()
	answers := make(chan answer, n)
	failed := make(chan error, n)
	var headers []string
	for range n {
		headers = append(headers, v.jar.header())
	}
	for i := range n {
		go func() {
			method, path, form := request(i)
			a, err := v.send(v.site, method, path, form, headers[i])
			if err != nil {
				failed <- err
				return
			}
			answers <- a
		}()
	}
	for range n {
		select {
		case a := <-answers:
			all = append(all, a)
		case err := <-failed:
			require.NoError(v.t, err)
		}
	}
	rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// grow fills the session with about size bytes, in the entries base0 to base3.
func (v *visitor) grow(size int) {
	v.t.Helper()
	for i := range 4 {
		a := v.set(fmt.Sprintf("base%d", i), fmt.Sprintf("b%d", i), size/4)
		require.Equal(v.t, http.StatusOK, a.status, a.body)
	}
}

func newRing(t *testing.T) *keyring.Ring {
	ring, err := keyring.Generate(time.Now().Add(-time.Minute))
	require.NoError(t, err)
	return ring
}

// newSite returns a replica for a platform, and its clock.
func newSite(t *testing.T, platform middleware.Platform) (*notes.Site, *notes.Clock) {
	clock := &notes.Clock{}
	return notes.New(t, middleware.Config{Keys: newRing(t), Platform: platform, Clock: clock.Now}), clock
}

// name returns the name of a platform for the name of a test.
func name(p middleware.Platform) string {
	if p == middleware.Default {
		return "default"
	}
	return string(p)
}

// some returns a random duration of at most ms milliseconds.
func some(ms int) time.Duration { return time.Duration(rand.IntN(ms+1)) * time.Millisecond }
