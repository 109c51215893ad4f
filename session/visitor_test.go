package session_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// User is the value of the examples.
type User struct {
	Name  string
	Admin bool
}

const (
	user  session.Key[User]     = "user"
	count session.Key[int]      = "count"
	words session.Key[[]string] = "words"
	text  session.Key[string]   = "text"
)

// visitor is a browser and a site. Each visit is one request through the middleware,
// with the cookies of a jar.
type visitor struct {
	sessions *middleware.Sessions
	jar      *sessiontest.Jar
}

func newVisitor(t require.TestingT) *visitor {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{Keys: ring})
	require.NoError(t, err)
	return &visitor{sessions: sessions, jar: &sessiontest.Jar{}}
}

// visit is one request, in which f is the handler.
func (v *visitor) visit(f func(s *session.Session)) *http.Response {
	handler := v.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f(session.From(r.Context()))
	}))
	return v.jar.Do(handler, v.jar.Request("GET", "/", nil))
}

// changed reports whether a request in which f is the handler sets a cookie.
func (v *visitor) changed(t require.TestingT, f func(s *session.Session)) bool {
	response := v.visit(f)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return len(response.Header.Values("Set-Cookie")) > 0
}

// stub is a backend that records its calls.
type stub struct {
	view    *state.View
	loadErr error
	saveErr error
	loads   int
	loadCtx context.Context
	late    []string
	reads   int // late ones
	clamped []string
	odd     []string // names of values that do not decode
}

func (b *stub) Load(ctx context.Context) (*state.View, error) {
	b.loads++
	b.loadCtx = ctx
	return b.view, b.loadErr
}

func (b *stub) Save(_ context.Context, o core.Outcome) (*state.View, error) {
	if o.Err != nil {
		return nil, o.Err
	}
	return nil, b.saveErr
}

func (b *stub) LateRead()              { b.reads++ }
func (b *stub) LateChange(what string) { b.late = append(b.late, what) }

func (b *stub) Lifetimes() (now, lifetime, longest int64) {
	return 1_700_000_000_000, 3_600_000, 7_200_000
}

func (b *stub) Clamped(what string, d time.Duration) {
	b.clamped = append(b.clamped, what+" "+d.String())
}
func (b *stub) Undecodable(name string, _ error) { b.odd = append(b.odd, name) }

// stubbed returns a session with backend b, and its core.
func stubbed(t testing.TB, b *stub) (*session.Session, *core.Core) {
	s := new(session.Session)
	c := core.Of(s)
	c.Init(b)
	return s, c
}

// outcome commits and returns the outcome that the commit got.
func outcome(t testing.TB, c *core.Core) (out core.Outcome) {
	require.NoError(t, c.Commit(func(o core.Outcome) (*state.View, error) { out = o; return nil, nil }))
	return out
}
