package fibersession_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

const (
	user session.Key[string]   = "user"
	room session.Key[string]   = "room"
	bad  session.Key[chan int] = "bad" // cannot be encoded, so the commit fails
)

// patience is a limit that tests reach only when they fail.
const patience = 20 * time.Second

// site is a Fiber app on a socket, and a browser.
type site struct {
	t        *testing.T
	app      *fiber.App
	sessions *middleware.Sessions
	url      string
	jar      *sessiontest.Jar
	client   *http.Client

	mu     sync.Mutex
	events []middleware.Event
}

// setup is the part of a site that a test can change.
type setup struct {
	fiber  fiber.Config
	config middleware.Config
	before func(app *fiber.App) // mounted outside of the session
}

// newSite serves the routes, and /login, which sets the user to ada, and
// /read, which responds "user room".
func newSite(t *testing.T, p setup, routes func(app *fiber.App)) *site {
	s := &site{t: t}
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	if p.fiber.ReadBufferSize == 0 {
		p.fiber.ReadBufferSize = fibersession.ReadBufferSize
	}
	if p.config.Limits == (middleware.Limits{}) {
		p.config.Limits = fibersession.Limits(middleware.Default, p.fiber.ReadBufferSize)
	}
	p.config.Keys, p.config.Observer = ring, s.observe
	s.sessions, err = middleware.New(p.config)
	require.NoError(t, err)
	s.app = fiber.New(p.fiber)
	if p.before != nil {
		p.before(s.app)
	}
	handler, err := fibersession.New(s.app, s.sessions)
	require.NoError(t, err)
	s.app.Use(handler)
	s.app.Get("/login", func(c fiber.Ctx) error {
		user.Set(session.From(c), "ada")
		return nil
	})
	s.app.Get("/read", read)
	if routes != nil {
		routes(s.app)
	}
	s.serve()
	return s
}

func read(c fiber.Ctx) error {
	name, _ := user.Get(session.From(c.Context()))
	in, _ := room.Get(session.From(c))
	return c.SendString(name + " " + in)
}

func (s *site) serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	s.t.Cleanup(func() {
		s.client.CloseIdleConnections()
		require.NoError(s.t, s.app.ShutdownWithTimeout(patience))
		require.NoError(s.t, <-ended)
	})
	s.url = "http://" + listener.Addr().String()
	s.jar = &sessiontest.Jar{URL: s.url}
	s.client = &http.Client{
		Jar: s.jar, Timeout: patience, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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

func (s *site) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, body)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response, string(text)
}

func (s *site) get(path string) (*http.Response, string) {
	s.t.Helper()
	return s.do(http.MethodGet, path, nil)
}

// read returns the session as the next request sees it.
func (s *site) read() string {
	s.t.Helper()
	_, body := s.get("/read")
	return body
}

// faulty is a store that can be taken down.
type faulty struct {
	fallback.Store
	down atomic.Bool
}

var errDown = errors.New("the test has taken the store down")

func newFaulty(t *testing.T) *faulty {
	memory, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	return &faulty{Store: memory}
}

func (f *faulty) Load(ctx context.Context, id string) (fallback.Record, error) {
	if f.down.Load() {
		return fallback.Record{}, errDown
	}
	return f.Store.Load(ctx, id)
}

func (f *faulty) Save(ctx context.Context, id string, old fallback.Revision, r fallback.Record) error {
	if f.down.Load() {
		return errDown
	}
	return f.Store.Save(ctx, id, old, r)
}
