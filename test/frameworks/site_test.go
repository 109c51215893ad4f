// Package frameworks_test runs the same tests with each of Go's web frameworks.
package frameworks_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

const (
	user session.Key[string] = "user"
	cart session.Key[string] = "cart"
	seen session.Key[int]    = "seen"
)

// patience limits waiting. Only failing tests wait for it.
const patience = 20 * time.Second

// A framework is a way to build the same program.
type framework struct {
	name  string
	serve func(t *testing.T, p *program) (url string)
}

var all = []framework{
	{"net/http", serveNetHTTP},
	{"chi", serveChi},
	{"gin", serveGin},
	{"echo v5", serveEcho},
	{"echo v4", serveEcho4},
	{"fiber", serveFiber},
}

// each runs a test with every framework.
func each(t *testing.T, f func(t *testing.T, s *site)) {
	for _, framework := range all {
		t.Run(framework.name, func(t *testing.T) { f(t, newSite(t, framework)) })
	}
}

// A program is the state that all frameworks serve.
type program struct {
	sessions *middleware.Sessions
	admin    *middleware.Sessions // for the group /admin
	arrived  chan bool            // a part of a stream has reached the visitor
	ended    chan error           // result of a WebSocket's changes
	backend  string               // URL of the server behind /proxy/
	file     string               // path of the file that /file serves
}

// do is the program's logic, without HTTP.
func do(s *session.Session, step, arg string) string {
	switch step {
	case "login":
		s.Renew()
		user.Set(s, arg)
	case "grow":
		n, _ := strconv.Atoi(arg)
		cart.Set(s, strings.Repeat("x", n))
	case "shrink":
		cart.Delete(s)
	case "logout":
		s.Destroy()
	case "count":
		seen.Update(s, func(n int) int { return n + 1 })
	}
	name, _ := user.Get(s)
	things, _ := cart.Get(s)
	n, _ := seen.Get(s)
	return name + " " + strconv.Itoa(len(things)) + " " + strconv.Itoa(n)
}

// A site is a running program, with a browser.
type site struct {
	*program
	t      *testing.T
	url    string
	jar    *sessiontest.Jar
	client *http.Client

	mu     sync.Mutex
	now    time.Time
	events []middleware.Event
}

func newSite(t *testing.T, f framework) *site {
	s := &site{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	ring, err := keyring.Generate(s.now.Add(-time.Hour))
	require.NoError(t, err)
	store, err := fallback.NewMemory(fallback.MemoryConfig{Clock: s.clock})
	require.NoError(t, err)
	config := middleware.Config{
		Keys: ring, Fallback: middleware.Fallback{Store: store}, Clock: s.clock, Observer: s.observe,
		Limits: middleware.Limits{RequestBytes: 14_336}, // for a Fiber app that reads 16 KiB
	}
	s.program = &program{arrived: make(chan bool), ended: make(chan error, 1)}
	s.sessions, err = middleware.New(config)
	require.NoError(t, err)
	config.Cookie.Name = "__Host-admin"
	s.admin, err = middleware.New(config)
	require.NoError(t, err)
	s.backend = serveBackend(t)
	s.file = writeFile(t)

	s.url = f.serve(t, s.program)
	s.jar = &sessiontest.Jar{URL: s.url, Clock: s.clock}
	s.client = &http.Client{
		Jar: s.jar, Timeout: patience, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) observe(_ context.Context, e middleware.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *site) count(kind middleware.EventKind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (s *site) send(method, path string, header ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response, string(body)
}

// An answer is the JSON of /do/.
type answer struct {
	Text string `json:"text"`
}

// do runs a step of the program and returns the resulting content of the
// session.
func (s *site) do(step, arg string) (*http.Response, string) {
	s.t.Helper()
	response, body := s.send(http.MethodPost, "/do/"+step+"/"+arg)
	require.Equal(s.t, http.StatusOK, response.StatusCode, body)
	require.Contains(s.t, response.Header.Get("Content-Type"), "application/json")
	var a answer
	require.NoError(s.t, json.Unmarshal([]byte(body), &a))
	return response, a.Text
}

// read returns the content of the session in the next request.
func (s *site) read() string {
	s.t.Helper()
	_, text := s.do("read", "it")
	return text
}
