package proxies_test

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
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/internal/front"
	"github.com/carryon-go/carryon/test/internal/notes"
)

// Behind a proxy, a session grows until the library refuses a write as too
// large, with bursts of writes in between. It is then touched, compacted,
// shrunk and ended. The proxy must pass every request and response that the
// library allows.
func TestNothingThatIsSentIsRefused(t *testing.T) {
	front.Each(t, func(t *testing.T, p front.Proxy) {
		for _, platform := range []middleware.Platform{p.Platform, middleware.Portable} {
			t.Run(string(platform), func(t *testing.T) {
				for seed := range uint64(4) {
					walk(t, p, platform, http.DefaultTransport, seed)
				}
			})
		}
	})
}

// With HTTP/2, nginx receives each cookie as a separate field and joins them
// for the program.
func TestNginxOverHTTP2(t *testing.T) {
	p := front.Nginx(t)
	plain := p.Config
	p.Config = func(dir, listen, backend string) string {
		return strings.Replace(plain(dir, listen, backend), "listen "+listen, "listen "+listen+" http2", 1)
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	for seed := range uint64(4) {
		walk(t, p, middleware.Nginx, transport, seed)
	}
}

// A walker is a browser behind a proxy, and the writes that were acknowledged
// to it.
type walker struct {
	t      *testing.T
	r      *rand.Rand
	url    string
	site   *notes.Site
	clock  *notes.Clock
	jar    *sessiontest.Jar
	client *http.Client

	mu    sync.Mutex
	acked map[string]string
	last  int
	trace []string // a line per request, for failure messages
}

func walk(t *testing.T, p front.Proxy, platform middleware.Platform, transport http.RoundTripper, seed uint64) {
	clock := &notes.Clock{}
	ring, err := keyring.Generate(time.Now().Add(-time.Minute))
	require.NoError(t, err)
	site := notes.New(t, middleware.Config{Keys: ring, Platform: platform, Clock: clock.Now})
	w := &walker{t: t, r: rand.New(rand.NewPCG(seed, 7)), url: p.Before(t, site.URL), site: site, clock: clock,
		acked: map[string]string{}}
	w.jar = &sessiontest.Jar{URL: w.url, Clock: clock.Now}
	w.client = &http.Client{Jar: w.jar, Transport: transport, Timeout: patience}
	require.True(t, w.set(0)) // bursts without a session begin several, of which one remains
	w.grow()
	w.burst(6)
	w.pause()
	w.shrink()
	w.grow()
	w.must("/logout", nil) // a full jar has no room for a user
	w.acked = map[string]string{}
	require.Empty(t, w.read().Notes)
	w.must("/login", url.Values{"by": {"ada"}, "name": {"user"}})
	w.acked["role"] = "ada"
	w.check()
	w.must("/logout", nil)
	w.acked = map[string]string{}
	require.Empty(t, w.read().Notes)
	w.within(platform)
}

// within compares the headers on the program's socket with the platform's
// limits.
func (w *walker) within(platform middleware.Platform) {
	limits, _ := platform.Limits()
	most := w.site.Meter.Most()
	w.t.Logf("%s: at most %d of %d bytes in %d cookies, %d of %d in %d lines of Set-Cookie, in %d requests",
		platform, most.RequestBytes, limits.RequestBytes, most.Cookies, most.ResponseBytes, limits.ResponseBytes,
		most.SetCookieLines, most.Requests)
	require.LessOrEqual(w.t, most.RequestBytes, limits.RequestBytes)
	require.LessOrEqual(w.t, most.Cookies, limits.Cookies)
	require.LessOrEqual(w.t, most.ResponseBytes, limits.ResponseBytes)
	require.LessOrEqual(w.t, most.SetCookieLines, limits.SetCookieLines)
	require.LessOrEqual(w.t, most.CookieBytes, limits.CookieBytes)
	delete(most.Refused, reason.LoggedOut) // the walk uses the cookies that a logout leaves
	require.Empty(w.t, most.Refused)
}

// grow writes values of random sizes until the library refuses one, and then
// smaller ones until no write fits.
func (w *walker) grow() {
	for most := 1200; most > 0; {
		if !w.set(w.r.IntN(most)) {
			most /= 2
		}
		switch w.r.IntN(6) {
		case 0:
			w.burst(6)
		case 1:
			w.clock.Move(18 * time.Minute) // earlier bursts are over, so the next write removes obsolete cookies
		}
		w.check()
	}
}

// pause waits until the last-seen time is due, and then sends several requests
// at once.
func (w *walker) pause() {
	w.clock.Move(61 * time.Minute)
	w.together(6, func(int) { w.read() })
	w.check()
}

// shrink shortens some values and deletes the others, in random order.
func (w *walker) shrink() {
	for name := range w.acked {
		form := url.Values{"name": {name}, "by": {"s"}, "size": {"1"}}
		path := "/set"
		if w.r.IntN(2) == 0 {
			path = "/delete"
		}
		require.True(w.t, w.write(path, form), "a write that only shrinks the session must be accepted; before: %s", w.recent())
		if path == "/delete" {
			delete(w.acked, name)
		}
		if w.r.IntN(4) == 0 {
			w.clock.Move(18 * time.Minute)
			w.check()
		}
	}
	w.check()
}

// burst writes from several tabs at once, a new entry each. Some of these
// entries may be lost, but only if the session was written whole.
func (w *walker) burst(n int) {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = w.r.IntN(150)
	}
	first, whole := w.last, w.site.Meter.Most().Events[middleware.EventWhole]
	w.together(n, func(i int) { w.set(sizes[i]) })
	if w.site.Meter.Most().Events[middleware.EventWhole] > whole {
		there := w.read().Notes
		for i := first + 1; i <= w.last; i++ {
			name := fmt.Sprintf("n%d", i)
			if _, ok := there[name]; !ok {
				delete(w.acked, name)
			}
		}
	}
	w.check()
}

func (w *walker) together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// set writes a new entry, and reports whether it fitted.
func (w *walker) set(size int) bool {
	w.mu.Lock()
	w.last++
	name := fmt.Sprintf("n%d", w.last)
	w.mu.Unlock()
	return w.write("/set", url.Values{"name": {name}, "by": {name}, "size": {fmt.Sprint(size)}})
}

func (w *walker) must(path string, form url.Values) {
	w.t.Helper()
	require.True(w.t, w.write(path, form), "%s; before: %s", path, w.recent())
}

// write sends a POST. Any response that is not the program's comes from the
// proxy, and is an error.
func (w *walker) write(path string, form url.Values) bool {
	status, body := w.send(http.MethodPost, path+"?"+form.Encode())
	if status == notes.StatusTooLarge {
		return false
	}
	if status != http.StatusOK || body != "ok" {
		w.t.Errorf("%s: status %d with a Cookie header of %d bytes: %.300s\nbefore: %s",
			path, status, len(w.jar.Header(w.url)), body, w.recent())
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if name := form.Get("name"); name != "" {
		w.acked[name] = form.Get("by")
	}
	return true
}

func (w *walker) send(method, path string) (int, string) {
	r, err := http.NewRequest(method, w.url+path, nil)
	if err != nil {
		w.t.Error(err)
		return 0, ""
	}
	for name, value := range browserFields {
		r.Header.Set(name, value)
	}
	r.Header.Set("Accept-Encoding", "identity")
	answer, err := w.client.Do(r)
	if err != nil {
		w.t.Errorf("%s, with a Cookie header of %d bytes: %v", path, len(w.jar.Header(w.url)), err)
		return 0, ""
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Error(err)
	}
	w.note(answer)
	return answer.StatusCode, string(body)
}

// note records how a response changed the jar.
func (w *walker) note(answer *http.Response) {
	sent := len(answer.Request.Header.Get("Cookie"))
	set, expired, total := 0, 0, 0
	for _, line := range answer.Header["Set-Cookie"] {
		total += len(line)
		if strings.Contains(line, "Max-Age=0") {
			expired++
		} else {
			set++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%s: sent %d bytes, got %d; %d set, %d expired, %d bytes",
		answer.Request.URL, sent, answer.StatusCode, set, expired, total))
}

// recent returns the end of the trace.
func (w *walker) recent() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.trace[max(0, len(w.trace)-20):], "\n")
}

func (w *walker) read() (p notes.Page) {
	status, body := w.send(http.MethodGet, "/all")
	if status != http.StatusOK {
		w.t.Errorf("/all: status %d with a Cookie header of %d bytes in %d cookies: %.300s\nbefore: %s",
			status, len(w.jar.Header(w.url)), len(w.jar.Names()), body, w.recent())
		return p
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		w.t.Error(err)
	}
	return p
}

// check requires every acknowledged value, and no other.
func (w *walker) check() {
	w.t.Helper()
	p := w.read()
	if w.t.Failed() {
		w.t.FailNow()
	}
	got := map[string]string{}
	for name, note := range p.Notes {
		got[name] = note.Left
	}
	require.Equal(w.t, w.acked, got)
}
