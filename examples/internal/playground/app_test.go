package playground

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// A client is a cookie jar with a new program.
type client struct {
	*testing.T
	jar *sessiontest.Jar
	app http.Handler
}

func newClient(t *testing.T, change ...func(*Options)) *client {
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	o := Options{Name: middleware.DefaultName, Lifetime: middleware.DefaultLifetime, Idle: middleware.DefaultIdleTimeout}
	for _, f := range change {
		f(&o)
	}
	sessions, err := middleware.New(o.Config(ring))
	require.NoError(t, err)
	return &client{t, &sessiontest.Jar{}, New(sessions, o)}
}

func (c *client) call(method, target, body string) (*http.Response, string) {
	c.Helper()
	response := c.jar.Do(c.app, c.jar.Request(method, target, strings.NewReader(body)))
	text, err := io.ReadAll(response.Body)
	require.NoError(c, err)
	return response, string(text)
}

// want makes a call, checks its status and returns the body.
func (c *client) want(status int, method, target, body string) string {
	c.Helper()
	response, text := c.call(method, target, body)
	require.Equal(c, status, response.StatusCode, "%s %s: %s", method, target, text)
	return text
}

func (c *client) picture() (p picture) {
	c.Helper()
	require.NoError(c, json.Unmarshal([]byte(c.want(200, "GET", "/api/session", "")), &p))
	return p
}

func TestSessionIsNotCreatedByLooking(t *testing.T) {
	c := newClient(t)
	l, _ := middleware.Default.Limits()
	require.JSONEq(t, fmt.Sprintf(`{"id":"","new":true,"created":null,"expires":null,"names":[],"cookies":[],"request_cookie_bytes":0,
		"mode":"","record":null,"store_calls":0,"subject":"","groups":[],"chunks":0,"budget":{"platform":"",
			"cookie_bytes":{"max":%d,"used":0},"cookies":{"max":%d,"used":0},"request_bytes":{"max":%d,"used":0},
			"response_bytes":{"max":%d,"used":null},"set_cookie_lines":{"max":%d,"used":null}}}`,
		l.CookieBytes, l.Cookies, l.RequestBytes, l.ResponseBytes, l.SetCookieLines),
		c.want(200, "GET", "/api/session", ""))
	c.want(404, "GET", "/api/values/a", "")
	c.want(204, "DELETE", "/api/values/a", "")
	require.Empty(t, c.jar.Names())
}

func TestValuesComeAndGo(t *testing.T) {
	c := newClient(t)
	for _, test := range []struct{ path, text string }{
		{"greeting", "你好"}, {"empty", ""}, {"a%2Fb%20c", "x"}, {"%E5%90%8D", "名"}, {"lines", "1\r\n2\x00"},
	} {
		c.want(204, "PUT", "/api/values/"+test.path, test.text)
		require.Equal(t, test.text, c.want(200, "GET", "/api/values/"+test.path, ""))
	}
	require.Equal(t, []string{"a/b c", "empty", "greeting", "lines", "名"}, c.picture().Names)
	c.want(204, "DELETE", "/api/values/greeting", "")
	c.want(404, "GET", "/api/values/greeting", "")
}

func TestPictureShowsTheRequest(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/a", "1")
	c.jar.Set("other=cookie; Path=/")
	p := c.picture()
	require.False(t, p.New)
	require.Len(t, p.ID, 22)
	require.Equal(t, 24*time.Hour, p.Expires.Sub(*p.Created))
	require.Equal(t, []string{"a"}, p.Names)
	require.Len(t, p.Cookies, 1, "only cookies of the session")
	require.Equal(t, c.jar.Bytes()-len("othercookie"), p.Cookies[0].Bytes)
	require.Equal(t, len(c.jar.Header("")), p.RequestCookieBytes, "the whole header")
}

func limited(platform string) func(*Options) { return func(o *Options) { o.Limits = platform } }

func TestPictureShowsHeadAndCellsAndBudget(t *testing.T) {
	c := newClient(t, limited("cloudflare"))
	c.want(204, "PUT", "/api/values/big", strings.Repeat("x", 11_000))
	c.want(204, "PUT", "/api/values/small", "1")
	c.jar.Set("other=cookie; Path=/")
	p := c.picture()
	require.Equal(t, "chunked", p.Mode)
	require.Len(t, p.Groups, 2)
	slices.SortFunc(p.Groups, func(a, b group) int { return a.Pieces - b.Pieces })
	cell, head := p.Groups[0], p.Groups[1]
	require.Equal(t, group{cell.Tag, "cell", true, []string{"small"}, 1, cell.Bytes}, cell)
	require.Equal(t, group{head.Tag, "head", true, []string{"big"}, head.Pieces, head.Bytes}, head)
	require.Greater(t, head.Pieces, 1)
	require.Equal(t, head.Pieces+1, p.Chunks)
	require.Len(t, p.Cookies, p.Chunks)
	for _, cookie := range p.Cookies {
		require.True(t, strings.HasPrefix(cookie.Name, middleware.DefaultName+"."+head.Tag) || cookie.Name == middleware.DefaultName+"."+cell.Tag)
	}

	b := p.Budget
	l, _ := middleware.Cloudflare.Limits()
	require.Equal(t, "cloudflare", b.Platform)
	require.Equal(t, share{l.Cookies, new(p.Chunks + 1)}, b.Cookies, "the cookie of the other program counts, too")
	require.Equal(t, share{l.RequestBytes, new(p.RequestCookieBytes + 2)}, b.RequestBytes)
	require.InDelta(t, 4096, *b.CookieBytes.Used, 30)
	require.GreaterOrEqual(t, *b.SetCookieLines.Used, 1)
	require.Positive(t, *b.ResponseBytes.Used)

	c.want(204, "DELETE", "/api/values/big", "")
	p = c.picture()
	require.Equal(t, "inline", p.Mode)
	require.Equal(t, []string{"small"}, p.Names)
}

func TestPictureSaysWhatTheLastWriteSent(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/a", "1")
	response, _ := c.call("PUT", "/api/values/b", "2")
	bytes := 0
	for _, line := range response.Header.Values("Set-Cookie") {
		bytes += len(line)
	}
	require.NotZero(t, bytes)
	b := c.picture().Budget
	require.Equal(t, new(bytes), b.ResponseBytes.Used)
	require.Equal(t, new(len(response.Header.Values("Set-Cookie"))), b.SetCookieLines.Used)
}

func TestPictureOfWhatDoesNotOpen(t *testing.T) {
	c := newClient(t, limited("go"))
	c.want(204, "PUT", "/api/values/big", strings.Repeat("x", 5_000))
	tag := c.picture().Groups[0].Tag
	require.True(t, c.jar.Evict(middleware.DefaultName+"."+tag+".1"))
	p := c.picture()
	require.Equal(t, "", p.Mode)
	require.Equal(t, []group{{tag, "", false, []string{}, 1, p.RequestCookieBytes + 2}}, p.Groups)
}

func TestFixedName(t *testing.T) {
	c := newClient(t, func(o *Options) { o.Name, o.FixedName = "__session", true })
	c.want(204, "PUT", "/api/values/a", "1")
	p := c.picture()
	require.Equal(t, []string{"__session"}, c.jar.Names())
	require.Equal(t, "inline", p.Mode)
	require.Equal(t, "", p.Groups[0].Tag)
	require.Equal(t, "head", p.Groups[0].Kind)
	require.Equal(t, []string{"a"}, p.Groups[0].Entries)
}

func TestTooLargeTellsTheNumbers(t *testing.T) {
	c := newClient(t, limited("nginx"))
	c.want(204, "PUT", "/api/values/kept", "1")
	var answer tooLarge
	text := c.want(413, "PUT", "/api/values/big", strings.Repeat("x.", 2_500))
	require.NoError(t, json.Unmarshal([]byte(text), &answer))
	require.Equal(t, "too large", answer.Reason)
	require.Equal(t, "nginx", answer.Platform)
	require.Greater(t, answer.Max, 500)
	require.Greater(t, answer.Need, answer.Max)
	require.Contains(t, []string{string(session.LimitRequestBytes), string(session.LimitResponseBytes)}, answer.Limit)
	require.Zero(t, answer.OthersBytes)
	require.Contains(t, answer.Largest[0], "big (5")
	require.Greater(t, answer.SessionBytes, 5000)
	require.NotContains(t, text, "x.x")
}

// The traffic of long-running programs takes little memory.
func TestTrafficForgetsOldSessions(t *testing.T) {
	var traffic traffic
	for i := range 3 * maxTraffic {
		traffic.wrote(fmt.Sprint(i), []string{"1"})
	}
	require.LessOrEqual(t, len(traffic.last), maxTraffic)
	traffic.wrote("a", []string{"12", "345"})
	require.Equal(t, &sent{bytes: 5, lines: 2}, traffic.of("a"))
	traffic.wrote("a", nil)
	require.Equal(t, &sent{bytes: 5, lines: 2}, traffic.of("a"), "a read sets no cookie")
	traffic.wrote("", []string{"1"})
	require.Nil(t, traffic.of(""), "a visitor without a session has no id")
}

func TestRenewAndDestroy(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/a", "1")
	before := c.picture()
	c.want(204, "POST", "/api/renew", "")
	after := c.picture()
	require.NotEqual(t, before.ID, after.ID)
	require.Equal(t, before.Created, after.Created)
	require.Equal(t, "1", c.want(200, "GET", "/api/values/a", ""))
	c.want(204, "POST", "/api/destroy", "")
	require.True(t, c.picture().New)
	require.Contains(t, c.want(404, "GET", "/api/values/a", ""), `"reason":"logged out"`)
}

func TestErrorsAreJSON(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/kept", "1")
	for _, test := range []struct {
		method, target, body string
		status               int
		why                  string
	}{
		{"GET", "/api/values/none", "", 404, "no value"},
		{"PUT", "/api/values/big", strings.Repeat("x", 500_000), 413, "too large"},
		{"PUT", "/api/values/big", strings.Repeat("x", maxBody+1), 413, "too large"},
		{"PUT", "/api/values/a", "\xff", 400, "bad value"},
		{"PUT", "/api/values/a?delay=x", "", 400, "bad delay"},
		{"PUT", "/api/values/a?delay=-1s", "", 400, "bad delay"},
		{"PUT", "/api/values/a?delay=31s", "", 400, "bad delay"},
		{"POST", "/api/session", "", 405, "wrong method"},
		{"PATCH", "/api/values/a", "", 405, "wrong method"},
		{"GET", "/api/destroy", "", 405, "wrong method"},
		{"GET", "/api/nothing", "", 404, "not found"},
	} {
		response, text := c.call(test.method, test.target, test.body)
		require.Equal(t, test.status, response.StatusCode, "%s %s", test.method, test.target)
		require.Equal(t, "application/json", response.Header.Get("Content-Type"))
		var answer struct{ Error, Reason string }
		require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
		require.Equal(t, test.why, answer.Reason)
		require.NotEmpty(t, answer.Error)
		require.Empty(t, response.Header.Values("Set-Cookie"))
	}
	require.Equal(t, []string{"kept"}, c.picture().Names)
}

func TestOtherSitesAreRefused(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/a", "1")
	for method, target := range map[string]string{"PUT": "/api/values/a", "DELETE": "/api/values/a", "POST": "/api/destroy"} {
		response := c.jar.Do(c.app, c.jar.CrossSite(method, target, strings.NewReader("2"), false))
		require.Equal(t, http.StatusForbidden, response.StatusCode)
	}
	require.Equal(t, "1", c.want(200, "GET", "/api/values/a", ""))
}

func TestBadCookieIsNoError(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/a", "1")
	name := c.jar.Names()[0]
	sealed := c.jar.Value(name)
	c.jar.Put(name, strings.ToUpper(sealed[:60])+sealed[60:])
	p := c.picture()
	require.True(t, p.New)
	require.Len(t, p.Cookies, 1)
	c.want(404, "GET", "/api/values/a", "")
}

// TestDelayIsBetweenReadAndWrite makes two calls. The first one reads, the
// second one writes, and then the first one writes. The first call does not
// know the second's write, but both writes are kept.
func TestDelayIsBetweenReadAndWrite(t *testing.T) {
	c := newClient(t)
	c.want(204, "PUT", "/api/values/a", "1")
	entered, leave := make(chan struct{}), make(chan struct{})
	a := &app{name: middleware.DefaultName, sleep: func(r *http.Request, d time.Duration) bool {
		require.Equal(t, 200*time.Millisecond, d)
		close(entered)
		<-leave
		return true
	}}
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	sessions, err := middleware.New(Options{}.Config(ring))
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /api/values/{name}", a.call(putValue))
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		sessions.Handler(mux).ServeHTTP(w, httptest.NewRequest("PUT", "/api/values/b?delay=200ms", strings.NewReader("2")))
	}()
	<-entered
	require.Empty(t, w.Header().Values("Set-Cookie"), "not changed yet")
	close(leave)
	<-done
	require.Len(t, w.Header().Values("Set-Cookie"), 1)
}

func TestDelayEndsWhenTheClientLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	require.False(t, sleep(r, time.Hour))
	require.True(t, sleep(r, 0))
	require.True(t, sleep(httptest.NewRequest("GET", "/", nil), time.Millisecond))
}

func TestPageAndHealth(t *testing.T) {
	c := newClient(t)
	for target, want := range map[string]string{
		"/": middleware.DefaultName, "/style.css": "body", "/playground.js": "/api/session", "/healthz": "ok",
	} {
		response, text := c.call("GET", target, "")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, text, want)
		require.Empty(t, response.Header.Values("Vary"), "%s must not use the session", target)
	}
}

// The explanation of a bad request uses the words of reason.Reason.
func TestExplainTellsTheReason(t *testing.T) {
	c := newClient(t)
	explanationNow := func() (e explanation) {
		require.NoError(t, json.Unmarshal([]byte(c.want(200, "GET", "/api/explain", "")), &e))
		return e
	}
	require.Equal(t, reason.Absent, explanationNow().Reason)
	c.want(204, "PUT", "/api/values/name", "张三")
	require.Equal(t, reason.None, explanationNow().Reason)
	require.Len(t, explanationNow().ID, 22)
	good := c.jar.All()[0]
	for value, want := range map[string]reason.Reason{
		good.Value[:60] + "AAAAAAAA" + good.Value[68:]: reason.BadSeal,
		good.Value[:len(good.Value)-8]:                 reason.Torn,
		"!" + good.Value[1:]:                           reason.Malformed,
		"AA":                                           reason.WrongLength,
		good.Value[:2] + "QUJD" + good.Value[6:]:       reason.UnknownKey,
	} {
		c.jar.Put(good.Name, value)
		e := explanationNow()
		require.Equal(t, want, e.Reason)
		require.Equal(t, want, e.Refused[0].Reason)
		require.Equal(t, want == reason.UnknownKey, e.Refused[0].Key != "")
	}
	c.jar.Put(good.Name, good.Value)
	c.want(204, "POST", "/api/destroy", "")
	c.jar.Put(good.Name, good.Value)
	require.Equal(t, reason.LoggedOut, explanationNow().Reason)
}
