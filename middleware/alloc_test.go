package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

type nullWriter struct{ h http.Header }

func (w nullWriter) Header() http.Header         { return w.h }
func (w nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nullWriter) WriteHeader(int)             {}

// A handler that never asks for its session pays for the request's copy and
// for the exchange, and for nothing else.
func TestUntouchedCostsTwoAllocations(t *testing.T) {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	m, err := middleware.New(middleware.Config{Keys: ring})
	require.NoError(t, err)
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "__Host-session.aaaaaaaaaa=never-looked-at; other=1")
	w := nullWriter{http.Header{}}
	require.EqualValues(t, 2, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }))
	require.Empty(t, w.h)
}
