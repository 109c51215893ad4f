//go:build !race

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
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

const long, short session.Key[string] = "text", "other"

// allocations returns how many allocations a request takes. Its visitor has a
// session of the given size, after the given number of changes; size 0 means no
// session. The race detector adds allocations, so this file is not built with it.
func allocations(t *testing.T, size, changes int, do func(*session.Session)) float64 {
	t.Helper()
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	m, err := middleware.New(middleware.Config{Keys: ring, Limits: middleware.Limits{Cookies: 150, RequestBytes: 250_000, ResponseBytes: 200_000, SetCookieLines: 60}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Cookie", "other=1")
	if size > 0 {
		visit(m, r, func(s *session.Session) {
			long.Set(s, strings.Repeat("x", size))
			short.Set(s, "0")
		})
	}
	for i := range changes {
		visit(m, r, func(s *session.Session) { short.Set(s, strings.Repeat("1", i+1)) })
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

// visit sends r with the given change, and updates r's cookies from the response.
func visit(m *middleware.Sessions, r *http.Request, change func(*session.Session)) {
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { change(session.From(r.Context())) })).ServeHTTP(w, r)
	jar := r.Cookies()
	for _, c := range w.Result().Cookies() {
		jar = slices.DeleteFunc(jar, func(old *http.Cookie) bool { return old.Name == c.Name })
		if c.MaxAge >= 0 {
			jar = append(jar, &http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	r.Header.Del("Cookie")
	for _, c := range jar {
		r.AddCookie(c)
	}
}

// A request without a session, or one whose handler does not use it, takes two
// allocations: the copy of the request, and the exchange.
func TestUntouchedAndAnonymousCostTwoAllocations(t *testing.T) {
	require.EqualValues(t, 2, allocations(t, 1000, 0, nil))
	require.EqualValues(t, 2, allocations(t, 0, 0, nil))
	require.EqualValues(t, 2, allocations(t, 0, 0, func(s *session.Session) {
		_, ok := long.Get(s)
		require.False(t, ok)
	}))
}

// The allocations of a read and of a change do not grow with the session. The
// first write of a session moves its head to a new tag, which is one more cookie
// to seal and one to expire.
func TestAllocationsOfReadAndChange(t *testing.T) {
	for _, size := range []int{100, 1000, 2500, 8000, 64_000} {
		for changes, most := range []struct{ read, change float64 }{{8, 44}, {12, 27}} {
			read := allocations(t, size, changes, func(s *session.Session) {
				_, ok := short.Get(s)
				require.True(t, ok, "%v of %d bytes", s.Reason(), size)
			})
			n := 0
			change := allocations(t, size, changes, func(s *session.Session) {
				n++
				session.Key[int]("count").Set(s, n)
			})
			require.LessOrEqual(t, read, most.read, "read, %d bytes after %d changes", size, changes)
			require.LessOrEqual(t, change, most.change, "change, %d bytes after %d changes", size, changes)
		}
	}
}

// The allocations of a write do not grow with the value, whatever number of cookies
// the value takes. One of them is the text that the test creates.
func TestAllocationsOfASnapshot(t *testing.T) {
	for _, size := range []int{1000, 2500, 8000, 64_000} {
		n := 0
		change := allocations(t, size, 1, func(s *session.Session) {
			n++
			long.Set(s, strings.Repeat(string(rune('a'+n%26)), size))
		})
		require.LessOrEqual(t, change, 44.0, "change, %d bytes", size)
	}
}
