package middleware_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	user session.Key[string] = "user"
	note session.Key[string] = "note"
)

// clock is a clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// events is an observer that keeps the events.
type events struct {
	mu  sync.Mutex
	all []middleware.Event
}

func (e *events) observe(_ context.Context, event middleware.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// of returns the events of a kind; "" means all kinds.
func (e *events) of(kind middleware.EventKind) (list []middleware.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if kind == "" || event.Kind == kind {
			list = append(list, event)
		}
	}
	return list
}

func (e *events) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = nil
}

// logs is a server's error log.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a program behind a real server, with one visitor's browser.
type site struct {
	*httptest.Server
	t        *testing.T
	config   middleware.Config
	sessions *middleware.Sessions
	clock    *clock
	events   *events
	log      *logs
	jar      *sessiontest.Jar
	client   *http.Client
}

// setup is the configuration of a site, which options change.
type setup struct {
	middleware.Config
	http2   bool
	program http.HandlerFunc                // instead of newSite's
	outside func(http.Handler) http.Handler // between the server and the sessions
}

type option func(*setup)

// asProgram replaces the program that newSite was given.
func asProgram(h http.HandlerFunc) option { return func(s *setup) { s.program = h } }

func overHTTP2(s *setup) { s.http2 = true }

func config(f func(*middleware.Config)) option {
	return func(s *setup) { f(&s.Config) }
}

func outside(f func(http.Handler) http.Handler) option {
	return func(s *setup) { s.outside = f }
}

// newRing returns a ring with one key, which is active at noon.
func newRing(t testing.TB) *keyring.Ring {
	ring, err := keyring.Generate(noon.Add(-time.Hour))
	require.NoError(t, err)
	return ring
}

// newSite serves h. Under /read it serves the user's name, or 404 and the reason.
func newSite(t *testing.T, h http.HandlerFunc, options ...option) *site {
	t.Helper()
	s := &site{t: t, clock: &clock{now: noon}, events: &events{}, log: &logs{}}
	set := setup{outside: func(h http.Handler) http.Handler { return h }}
	set.Keys, set.Clock, set.Observer = newRing(t), s.clock.Now, s.events.observe
	for _, o := range options {
		o(&set)
	}
	var err error
	s.config = set.Config
	s.sessions, err = middleware.New(s.config)
	require.NoError(t, err)
	if set.program != nil {
		h = set.program
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", h)
	mux.HandleFunc("/read", read)
	s.Server = httptest.NewUnstartedServer(set.outside(s.sessions.Handler(mux)))
	s.Config.ErrorLog = log.New(s.log, "", 0)
	if set.http2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	s.jar = &sessiontest.Jar{URL: s.URL, Clock: s.clock.Now}
	s.client = s.Client()
	s.client.Jar = s.jar
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

func read(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	name, ok := user.Get(s)
	w.Header().Set("X-Reason", s.Reason().String())
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, name)
}

// app is a small program: /set?user=, /login?user= (renews), /logout, /none.
func app(w http.ResponseWriter, r *http.Request) {
	switch name := r.FormValue("user"); r.URL.Path {
	case "/set":
		user.Set(session.From(r.Context()), name)
	case "/login":
		s := session.From(r.Context())
		s.Renew()
		user.Set(s, name)
	case "/logout":
		session.From(r.Context()).Destroy()
	}
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

// request sends a request with the jar's cookies and the given header lines
// ("Name: value").
func (s *site) request(method, path string, lines ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, nil)
	require.NoError(s.t, err)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return answer{response, string(body)}
}

func (s *site) get(path string, lines ...string) answer {
	s.t.Helper()
	return s.request(http.MethodGet, path, lines...)
}

// bare sends a request whose only cookies are the given Cookie header lines. It
// neither uses nor changes the jar.
func (s *site) bare(path string, cookies ...string) answer {
	s.t.Helper()
	client, other := *s.client, *s // another request may use s.client
	client.Jar, other.client = nil, &client
	var lines []string
	for _, c := range cookies {
		lines = append(lines, "Cookie: "+c)
	}
	return other.get(path, lines...)
}

// who returns the user's name as the next request reads it, or "" if there is no
// user.
func (s *site) who() string {
	s.t.Helper()
	return s.get("/read").body
}

// moveToOwnTag moves ada's session, by a write, from the tag at which all sessions
// begin to a tag of its own, which no other program writes.
func (s *site) moveToOwnTag() {
	s.t.Helper()
	s.get("/set?user=nobody")
	s.get("/set?user=ada")
}

// cookie returns the only cookie in the visitor's jar.
func (s *site) cookie() *sessiontest.Stored {
	s.t.Helper()
	require.Len(s.t, s.jar.All(), 1)
	return &s.jar.All()[0]
}

// overBoth runs a test over HTTP/1.1 and over HTTP/2.
func overBoth(t *testing.T, test func(t *testing.T, protocol option)) {
	t.Run("HTTP1", func(t *testing.T) { test(t, func(*setup) {}) })
	t.Run("HTTP2", func(t *testing.T) { test(t, overHTTP2) })
}
