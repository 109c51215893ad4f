// Package bursts_test attacks sessions as a foreign client would, over real
// sockets, through real proxies, in real browsers and with a cookie jar of its
// own: many writers at once, responses in any order, cookies lost, brought back
// and shuffled, replicas left behind.
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

// patience bounds every call; no test waits for it unless it fails.
const patience = 60 * time.Second

// sizes are of the sessions, in bytes of values.
var sizes = []int{200, 2000, 8000}

// pot is the least cookie jar: a name has one value, an end in the past takes
// it away, and nothing is ever dropped for its size or number. What it sends is
// in random order.
type pot struct {
	mu      sync.Mutex
	cookies map[string]string
}

func (p *pot) header() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	pairs := make([]string, 0, len(p.cookies))
	for name, value := range p.cookies {
		pairs = append(pairs, name+"="+value)
	}
	rand.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	return strings.Join(pairs, "; ")
}

func (p *pot) apply(lines []string) {
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

func (p *pot) names() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.cookies {
		all = append(all, name)
	}
	return all
}

func (p *pot) copy() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := make(map[string]string, len(p.cookies))
	for name, value := range p.cookies {
		c[name] = value
	}
	return c
}

// field is the number of bytes of the Cookie field.
func (p *pot) field() int { return len(p.header()) }

// visitor is one client: a pot, and what was acknowledged to it.
type visitor struct {
	t    *testing.T
	site *notes.Site
	base string // where the site is reached; "" is its own address
	what string // is tested now
	http *http.Client
	pot  *pot

	mu    sync.Mutex
	acked map[string]string // name -> by, of the last write that was acknowledged
}

// answer is one response, not yet applied to the pot.
type answer struct {
	status  int
	body    string
	lines   []string
	entries []string // that a refusal names
	ours    bool     // it is the program's, not a proxy's
	name    string   // what it wrote, "" if nothing
	by      string
}

var client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// oneShot takes a connection for each request: a proxy that is busy closes idle
// ones while a request is on its way, and a POST is not sent again.
var oneShot = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

func newVisitor(t *testing.T, s *notes.Site) *visitor {
	return &visitor{t: t, site: s, http: client, pot: &pot{cookies: map[string]string{}}, acked: map[string]string{}}
}

// send is one request with the given cookies; it may run beside others.
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

// do sends one request and takes its answer at once.
func (v *visitor) do(method, path string, form url.Values) answer {
	v.t.Helper()
	a, err := v.send(v.site, method, path, form, v.pot.header())
	require.NoError(v.t, err)
	v.take(a)
	return a
}

// take applies an answer. A write that was acknowledged must be there from now
// on; what is refused must be refused by name and change nothing.
func (v *visitor) take(a answer) {
	v.t.Helper()
	require.NoError(v.t, a.fault())
	v.pot.apply(a.lines)
	v.note(a)
}

// fault is an error where an answer is neither right nor a refusal by name.
func (a *answer) fault() error {
	switch {
	case !a.ours:
		return fmt.Errorf("the proxy answers with %d: %.200s", a.status, a.body)
	case a.status == http.StatusOK:
		return nil
	case len(a.lines) > 0:
	case a.status == notes.StatusTooLarge, a.status == notes.StatusStoreDown, a.status == notes.StatusEnded:
		return nil
	}
	return fmt.Errorf("%d with %d Set-Cookie lines: %s", a.status, len(a.lines), a.body)
}

// note remembers what was acknowledged.
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

// page reads everything, and checks that what was written together is together.
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

// checkAcked reads, and demands every acknowledged write.
func (v *visitor) checkAcked(when string) {
	v.t.Helper()
	p := v.page()
	for name, by := range v.acked {
		note, ok := p.Notes[name]
		require.True(v.t, ok, "%s: the write of %s was acknowledged and is not there (reason %q, %d of %d there, %d cookies)",
			when, name, p.Reason, len(p.Notes), len(v.acked), len(v.pot.names()))
		require.Equal(v.t, by, note.Left, "%s: %s", when, name)
	}
}

// settled is longer than anything is in flight (SPEC.md, section "Time"): then
// the jar may be tidied up.
const settled = 18 * time.Minute

// settle lets a burst be over and reads, so that it is tidied up.
func (v *visitor) settle(clock *notes.Clock) {
	v.t.Helper()
	clock.Move(settled)
	v.page()
}

// burst sends n requests that all carry the same cookies and takes the answers
// in random order. It returns how many writes were acknowledged.
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

// together sends n requests that all carry the same cookies, and returns the
// answers in random order.
func (v *visitor) together(n int, request func(i int) (method, path string, form url.Values)) (all []answer) {
	v.t.Helper()
	answers := make(chan answer, n)
	failed := make(chan error, n)
	var headers []string
	for range n {
		headers = append(headers, v.pot.header())
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

// grow makes the session hold about so many bytes in four entries, base0 to
// base3.
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

// newSite is a replica of a platform's, and its clock.
func newSite(t *testing.T, platform middleware.Platform) (*notes.Site, *notes.Clock) {
	clock := &notes.Clock{}
	return notes.New(t, middleware.Config{Keys: newRing(t), Platform: platform, Clock: clock.Now}), clock
}

// name is a platform's in the name of a test.
func name(p middleware.Platform) string {
	if p == middleware.Default {
		return "default"
	}
	return string(p)
}

// some is a random time of so many milliseconds at most.
func some(ms int) time.Duration { return time.Duration(rand.IntN(ms+1)) * time.Millisecond }
