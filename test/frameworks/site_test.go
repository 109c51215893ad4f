// Package frameworks_test drives sessions through Go's web frameworks: what is the
// same in all of them is one test, which each of them passes.
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

// patience is for what must happen; no test waits for it unless it fails.
const patience = 20 * time.Second

// framework is one way to build the same program.
type framework struct {
	name  string
	serve func(t *testing.T, p *program) (url string)
}

var all = []framework{
	{"net/http", serveNetHTTP},
	{"chi", serveChi},
	{"gin", serveGin},
	{"echo", serveEcho},
	{"fiber", serveFiber},
}

// each runs a test in every framework.
func each(t *testing.T, f func(t *testing.T, s *site)) {
	for _, framework := range all {
		t.Run(framework.name, func(t *testing.T) { f(t, newSite(t, framework)) })
	}
}

// program is what the frameworks serve.
type program struct {
	sessions *middleware.Sessions
	admin    *middleware.Sessions // of the group /admin
	arrived  chan bool            // a part of a stream has reached the visitor
	ended    chan error           // what became of a WebSocket's changes
	backend  string               // URL of the server behind /proxy/
	file     string               // path of the file at /file
}

// do is the program's own logic, without HTTP.
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

// site is a program that runs, and a browser.
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
		Limits: middleware.Limits{RequestBytes: 14_336}, // a Fiber app with 16 KiB to read
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

// answer is the JSON of /do/.
type answer struct {
	Text string `json:"text"`
}

// do has the program do a step and returns what the session holds then.
func (s *site) do(step, arg string) (*http.Response, string) {
	s.t.Helper()
	response, body := s.send(http.MethodPost, "/do/"+step+"/"+arg)
	require.Equal(s.t, http.StatusOK, response.StatusCode, body)
	require.Contains(s.t, response.Header.Get("Content-Type"), "application/json")
	var a answer
	require.NoError(s.t, json.Unmarshal([]byte(body), &a))
	return response, a.Text
}

// read is what the next request finds in the session.
func (s *site) read() string {
	s.t.Helper()
	_, text := s.do("read", "it")
	return text
}
