// Package http_test tests sessions with libraries that take over the response:
// WebSockets and proxies.
package http_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

const (
	user session.Key[string] = "user"
	room session.Key[string] = "room"
)

// patience limits waiting. Only failing tests wait for it.
const patience = 20 * time.Second

// A site is a program with sessions on a real server, with a browser.
type site struct {
	*httptest.Server
	t      *testing.T
	jar    *sessiontest.Jar
	client *http.Client

	mu     sync.Mutex
	events []middleware.Event
}

// newSite serves h, /login, which logs in as ada, and /read, which returns the
// user and the room.
func newSite(t *testing.T, h http.Handler) *site {
	s := &site{t: t}
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{Keys: ring, Observer: s.observe})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) { user.Set(session.From(r.Context()), "ada") })
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		name, _ := user.Get(session.From(r.Context()))
		in, _ := room.Get(session.From(r.Context()))
		_, _ = io.WriteString(w, name+" "+in)
	})
	s.Server = httptest.NewServer(sessions.Handler(mux))
	t.Cleanup(s.Close)
	s.jar = &sessiontest.Jar{URL: s.URL}
	s.client = s.Client()
	s.client.Jar = s.jar
	return s
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

func (s *site) get(path string) (*http.Response, string) {
	s.t.Helper()
	response, err := s.client.Get(s.URL + path)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response, string(body)
}

// read returns the session's content in the next request.
func (s *site) read() string {
	s.t.Helper()
	_, body := s.get("/read")
	return body
}
