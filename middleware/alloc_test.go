//go:build !race

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

type nullWriter struct{ h http.Header }

func (w nullWriter) Header() http.Header         { return w.h }
func (w nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nullWriter) WriteHeader(int)             {}

// costs counts the allocations of a request whose visitor has a session of the
// given size, or none where it is 0. The race detector adds its own, so it is out.
func costs(t *testing.T, size int, do func(*session.Session)) float64 {
	t.Helper()
	const text, other session.Key[string] = "text", "other"
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	m, err := middleware.New(middleware.Config{Keys: ring, Limits: middleware.Limits{Cookies: 150, RequestBytes: 1 << 20, ResponseBytes: 200_000, SetCookieLines: 60, Parallel: 1}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Cookie", "other=1")
	if size > 0 {
		w := httptest.NewRecorder()
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			text.Set(s, strings.Repeat("x", size))
			other.Set(s, "0")
		})).ServeHTTP(w, r)
		var pairs []string
		for _, c := range w.Result().Cookies() {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		r.Header.Set("Cookie", strings.Join(append(pairs, "other=1"), "; "))
	}
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if do != nil {
			do(session.From(r.Context()))
		}
	}))
	w := nullWriter{http.Header{}}
	return testing.AllocsPerRun(100, func() {
		clear(w.h)
		h.ServeHTTP(w, r)
	})
}

// A handler that never asks for its session, or whose visitor has none, pays for
// the request's copy and for the exchange, and for nothing else.
func TestUntouchedAndAnonymousCostTwoAllocations(t *testing.T) {
	require.EqualValues(t, 2, costs(t, 1000, nil))
	require.EqualValues(t, 2, costs(t, 0, nil))
	require.EqualValues(t, 2, costs(t, 0, func(s *session.Session) {
		_, ok := session.Key[string]("text").Get(s)
		require.False(t, ok)
	}))
}

// What a session costs does not grow with it.
func TestAllocationsOfReadAndChange(t *testing.T) {
	for _, size := range []int{100, 1000, 2500, 8000, 64_000} {
		read := costs(t, size, func(s *session.Session) {
			_, ok := session.Key[string]("other").Get(s)
			require.True(t, ok, "%v of %d bytes", s.Reason(), size)
		})
		require.LessOrEqual(t, read, 16.0, "read, %d bytes", size)
		n := 0
		change := costs(t, size, func(s *session.Session) {
			n++
			session.Key[int]("count").Set(s, n)
		})
		require.LessOrEqual(t, change, 30.0, "change, %d bytes", size)
	}
}

// A snapshot that replaces the session is written as cheaply, but for a line for
// each of its cookies. One allocation is the text that the test makes.
func TestAllocationsOfASnapshot(t *testing.T) {
	for size, most := range map[int]float64{1000: 30, 2500: 30, 8000: 40, 64_000: 84} {
		n := 0
		change := costs(t, size, func(s *session.Session) {
			n++
			session.Key[string]("text").Set(s, strings.Repeat(string(rune('a'+n%26)), size))
		})
		require.LessOrEqual(t, change, most, "change, %d bytes", size)
	}
}
