package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/internal/playground"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
	"github.com/carryon-go/carryon/sessiontest"
)

// roomy is a platform whose limits allow a session of several cookies.
const roomy = string(middleware.Cloudflare)

var (
	once  sync.Once
	built string // folder of the function, which is built once
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "carryon-lambda-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(built)
	return m.Run()
}

// start runs the function as a process.
func start(t *testing.T, env ...string) *lambdatest.Function {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the function")
	}
	bootstrap := filepath.Join(built, "bootstrap")
	once.Do(func() { require.NoError(t, os.Rename(lambdatest.Build(t, "."), bootstrap)) })
	return lambdatest.Start(t, bootstrap, env...)
}

// ringOf returns a ring and its text.
func ringOf(t *testing.T) (*keyring.Ring, string) {
	t.Helper()
	ring, err := keyring.Generate(time.Now().Add(-24 * time.Hour))
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	return ring, string(text)
}

// visitor sends requests with a jar that behaves like a browser's, and records
// how each step changes it.
type visitor struct {
	*testing.T
	client *http.Client
	jar    *sessiontest.Jar
	trace  []string // one entry per step
	sizes  []int    // sizes of the values
}

func newVisitor(t *testing.T, through http.RoundTripper) *visitor {
	jar := &sessiontest.Jar{}
	return &visitor{T: t, jar: jar, client: &http.Client{Transport: through, Jar: jar}}
}

// call makes an API call and returns the response text.
func (v *visitor) call(status int, method, path, body string) string {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, "https://app.example"+path, strings.NewReader(body))
	require.NoError(v, err)
	answer, err := v.client.Do(r)
	require.NoError(v, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(v, err)
	require.NoError(v, answer.Body.Close())
	require.Equal(v, status, answer.StatusCode, "%s %s: %s", method, path, text)
	v.note(method+" "+path, answer.Header)
	return string(text)
}

var (
	own  = regexp.MustCompile(`^(__Host-session)\.[01a-z2-7][a-z2-7]{9}((?:\.\d+)?)=([^;]*)`)
	ages = regexp.MustCompile(`Max-Age=[1-9]\d*`)
)

// note records the form of the cookies and of related fields. Names and values
// of cookies differ in each walk.
func (v *visitor) note(step string, h http.Header) {
	lines := slices.Clone(h["Set-Cookie"])
	slices.SortFunc(lines, func(a, b string) int {
		return cmp.Or(strings.Compare(form(a), form(b)), cmp.Compare(len(a), len(b)))
	})
	for i, line := range lines {
		if m := own.FindStringSubmatch(line); m != nil {
			v.sizes = append(v.sizes, len(m[3]))
		}
		lines[i] = form(line)
	}
	v.trace = append(v.trace, fmt.Sprintf("%s: %q, vary %q, cache %q, %d in the jar", step, lines, h.Values("Vary"), h.Values("Cache-Control"), len(v.jar.Names())))
}

func form(line string) string {
	return ages.ReplaceAllString(own.ReplaceAllString(line, "$1.SUFFIX$2=VALUE"), "Max-Age=N")
}

// same checks that two walks produced the same traces. Times may take a few
// bytes more in one of them.
func same(t *testing.T, want, got *visitor) {
	t.Helper()
	require.Equal(t, want.trace, got.trace)
	require.Len(t, got.sizes, len(want.sizes))
	for i := range want.sizes {
		require.InDelta(t, want.sizes[i], got.sizes[i], 16)
	}
}

// walk logs in, grows into several cookies and into the store, shrinks back,
// and logs out.
func (v *visitor) walk(stored bool) *visitor {
	v.call(204, "PUT", "/api/values/%E5%90%8D%20x", "张三")
	v.call(204, "POST", "/api/renew", "")
	require.Equal(v, "张三", v.call(200, "GET", "/api/values/%E5%90%8D%20x?delay=1ms", ""))
	v.call(204, "PUT", "/api/values/big", strings.Repeat("x", 4300))
	require.Contains(v, v.call(200, "GET", "/api/session", ""), `"mode":"chunked"`)
	if stored {
		v.call(204, "PUT", "/api/values/bigger", strings.Repeat("y.", 75_000))
		require.Contains(v, v.call(200, "GET", "/api/session", ""), `"mode":"stored"`)
		require.Len(v, v.call(200, "GET", "/api/values/bigger", ""), 150_000)
		v.call(204, "DELETE", "/api/values/bigger", "")
	} else {
		require.Contains(v, v.call(413, "PUT", "/api/values/bigger", strings.Repeat("y.", 75_000)), "too large")
	}
	v.call(204, "DELETE", "/api/values/big", "")
	require.Contains(v, v.call(200, "GET", "/api/session", ""), `"mode":"inline"`)
	require.Equal(v, "张三", v.call(200, "GET", "/api/values/%E5%90%8D%20x", ""))
	v.call(204, "POST", "/api/destroy", "")
	require.Contains(v, v.call(404, "GET", "/api/values/%E5%90%8D%20x", ""), "logged out")
	return v
}

// roundTripper is net/http's own server without a network.
type roundTripper struct{ http.Handler }

func (h roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	in.Header = r.Header
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

// reference returns the walk under net/http.
func reference(t *testing.T, text string, stored bool) *visitor {
	ring, err := keyring.Parse([]byte(text))
	require.NoError(t, err)
	o := playground.Options{Name: middleware.DefaultName, Limits: roomy, Lifetime: middleware.DefaultLifetime, Idle: middleware.DefaultIdleTimeout}
	c := o.Config(ring)
	if stored {
		c.Fallback.Store, err = fallback.NewMemory(fallback.MemoryConfig{})
		require.NoError(t, err)
	}
	sessions, err := middleware.New(c)
	require.NoError(t, err)
	return newVisitor(t, roundTripper{playground.New(sessions, o)}).walk(stored)
}

// The same walk produces the same cookies behind every front and under
// net/http.
func TestTheSameCookiesEverywhere(t *testing.T) {
	_, text := ringOf(t)
	want := reference(t, text, false)
	for _, front := range lambdatest.Fronts() {
		if front == lambdatest.ALB || front == lambdatest.RESTStream {
			continue // sends only one Set-Cookie; this function streams only from its URL
		}
		t.Run(string(front), func(t *testing.T) {
			env := []string{"CARRYON_KEYS=" + text, "CARRYON_PLATFORM=" + roomy}
			if front == lambdatest.URLStream {
				env = append(env, "CARRYON_STREAM=1")
			}
			f := start(t, env...)
			same(t, want, newVisitor(t, lambdatest.Visitor{Front: front, Function: f}).walk(false))
			require.NotContains(t, f.Log(), "张三")
		})
	}
}

// The same with a store: a session that has moved into the store moves back.
func TestTheSameCookiesWithAStore(t *testing.T) {
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text, "CARRYON_PLATFORM="+roomy, "CARRYON_STORE="+startRedis(t))
	want := reference(t, text, true)
	for _, front := range []lambdatest.Front{lambdatest.REST, lambdatest.HTTPAPI, lambdatest.HTTPAPI1, lambdatest.URL, lambdatest.ALBMulti} {
		same(t, want, newVisitor(t, lambdatest.Visitor{Front: front, Function: f}).walk(true))
	}
}

// One function behind all fronts, and one visitor that switches between them.
func TestOneSessionBehindAllFronts(t *testing.T) {
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text, "CARRYON_PLATFORM="+roomy)
	v := newVisitor(t, nil)
	fronts := []lambdatest.Front{lambdatest.REST, lambdatest.HTTPAPI, lambdatest.HTTPAPI1, lambdatest.URL, lambdatest.ALBMulti}
	for i, front := range fronts {
		v.client.Transport = lambdatest.Visitor{Front: front, Function: f}
		v.call(204, "PUT", fmt.Sprintf("/api/values/n%d", i), strings.Repeat("x", 200))
		for k := range i + 1 {
			require.Len(t, v.call(200, "GET", fmt.Sprintf("/api/values/n%d", k), ""), 200, "%s", front)
		}
	}
}

// With the limits of API Gateway, a session never exceeds them.
func TestAPIGatewayIsNeverOutgrown(t *testing.T) {
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text)
	for _, front := range []lambdatest.Front{lambdatest.REST, lambdatest.HTTPAPI} {
		v := newVisitor(t, lambdatest.Visitor{Front: front, Function: f})
		for n := 200; n < 4000; n += 400 {
			r, err := http.NewRequestWithContext(t.Context(), "PUT", fmt.Sprintf("https://app.example/api/values/v%d", n%5), strings.NewReader(strings.Repeat("x", n)))
			require.NoError(t, err)
			answer, err := v.client.Do(r)
			require.NoError(t, err, "the front refuses the visitor")
			require.Contains(t, []int{204, 413}, answer.StatusCode)
		}
	}
}

// A load balancer that sends only one Set-Cookie never loses one silently.
func TestLoadBalancerWithOneSetCookie(t *testing.T) {
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text, "CARRYON_PLATFORM="+roomy)
	v := newVisitor(t, lambdatest.Visitor{Front: lambdatest.ALB, Function: f})
	v.call(204, "PUT", "/api/values/a", "1")
	before := v.jar.Header("")
	v.call(502, "PUT", "/api/values/big", strings.Repeat("x", 4300))
	f.Logs("lambda.multi_value_headers.enabled", 1)
	require.Equal(t, before, v.jar.Header(""), "the visitor's cookies are unchanged")
	require.Equal(t, "1", v.call(200, "GET", "/api/values/a", ""))
}

// With a fixed name, one Set-Cookie is always enough.
func TestLoadBalancerWithFixedName(t *testing.T) {
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text, "CARRYON_PLATFORM=alb", "CARRYON_FIXED_NAME=1", "CARRYON_STORE="+startRedis(t))
	v := newVisitor(t, lambdatest.Visitor{Front: lambdatest.ALB, Function: f})
	v.call(204, "PUT", "/api/values/a", "1")
	v.call(204, "POST", "/api/renew", "")
	v.call(204, "PUT", "/api/values/big", strings.Repeat("x", 100_000))
	require.Contains(t, v.call(200, "GET", "/api/session", ""), `"mode":"stored"`)
	v.call(204, "DELETE", "/api/values/big", "")
	require.Contains(t, v.call(200, "GET", "/api/session", ""), `"mode":"inline"`)
	require.Equal(t, "1", v.call(200, "GET", "/api/values/a", ""))
	v.call(204, "POST", "/api/destroy", "")
	v.call(404, "GET", "/api/values/a", "")
	require.NotContains(t, f.Log(), "multi_value_headers")
}

func TestPageAndAssets(t *testing.T) {
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text)
	v := newVisitor(t, lambdatest.Visitor{Front: lambdatest.HTTPAPI, Function: f})
	require.Contains(t, v.call(200, "GET", "/", ""), middleware.DefaultName)
	require.Contains(t, v.call(200, "GET", "/playground.js", ""), "/api/session")
	require.Contains(t, v.call(200, "GET", "/style.css", ""), "body")
}

// A function that cannot start says why, and does not reveal its settings.
func TestRefusedSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the function")
	}
	start(t, "CARRYON_KEYS=none").Stop() // builds the function
	_, text := ringOf(t)
	tests := map[string][]string{
		"CARRYON_KEYS is not set":      {},
		"CARRYON_STORE cannot be read": {"CARRYON_KEYS=" + text, "CARRYON_STORE=redis://user:hunter2@[::"},
		"CARRYON_RELOAD is":            {"CARRYON_SECRET=ring", "CARRYON_RELOAD=soon"},
		"is not one of":                {"CARRYON_KEYS=" + text, "CARRYON_PLATFORM=moon"},
	}
	for want, env := range tests {
		command := exec.Command(filepath.Join(built, "bootstrap"))
		command.Env = env
		out, err := command.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
		require.NotContains(t, string(out), "hunter2")
		require.NotContains(t, string(out), `secret\":`)
	}
}
