package middleware_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// huge exceeds every limit of browsers and proxies.
var huge = strings.Repeat("0123456789abcdef", 200<<10/16)

// branded is an outer middleware that sets headers.
func branded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "stays")
		w.Header()["X-Lines"] = []string{"stays"}
		w.Header().Set("Set-Cookie", "theme=dark")
		next.ServeHTTP(w, r)
	})
}

// makeUnwritable makes the session too large to write, and sets headers that must
// not be sent.
func makeUnwritable(w http.ResponseWriter, r *http.Request) {
	note.Set(session.From(r.Context()), huge)
	h := w.Header()
	h.Set("X-Handler", "leaks")
	h.Set("X-Outer", "leaks")
	h["X-Lines"][0] = "leaks"
	h.Set("Content-Length", "6")
	h.Set("Content-Type", "text/html")
	h.Set("Cache-Control", "public, max-age=600")
	h.Add("Set-Cookie", "token=leaks")
}

func TestFailedCommitAnswersWithNothingOfTheHandlers(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		write  func(w http.ResponseWriter) error
		err    bool // write returns the commit's error
	}{
		"nothing":     {"GET", func(http.ResponseWriter) error { return nil }, false},
		"WriteHeader": {"GET", func(w http.ResponseWriter) error { w.WriteHeader(204); return nil }, false},
		"Write":       {"GET", func(w http.ResponseWriter) error { _, err := w.Write([]byte("leaks!")); return err }, true},
		"WriteString": {"GET", func(w http.ResponseWriter) error { _, err := io.WriteString(w, "leaks!"); return err }, true},
		"io.Copy":     {"GET", func(w http.ResponseWriter) error { _, err := io.Copy(w, strings.NewReader("leaks!")); return err }, true},
		"ReadFrom": {"GET", func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("leaks!"))
			return err
		}, true},
		"Flush": {"GET", func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, true},
		"101":   {"GET", func(w http.ResponseWriter) error { w.WriteHeader(101); return nil }, false},
		"HEAD":  {"HEAD", func(w http.ResponseWriter) error { w.WriteHeader(200); return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, protocol option) {
				var err error
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					makeUnwritable(w, r)
					err = test.write(w)
				}, protocol, outside(branded))
				a := s.request(test.method, "/")
				require.Equal(t, test.err, errors.Is(err, session.ErrTooLarge), "write returned %v", err)
				requireErrorPage(t, a, test.method)
				require.Equal(t, []string{"theme"}, s.jar.Names())
			})
		})
	}
}

func requireErrorPage(t *testing.T, a answer, method string) {
	t.Helper()
	require.Equal(t, http.StatusInternalServerError, a.StatusCode)
	require.Equal(t, []string{"stays"}, a.Header["X-Outer"])
	require.Equal(t, []string{"stays"}, a.Header["X-Lines"])
	require.Empty(t, a.Header["X-Handler"])
	require.Equal(t, []string{"theme=dark"}, a.Header["Set-Cookie"])
	require.Equal(t, "private, no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, "Cookie", a.Header.Get("Vary"))
	require.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))
	if method != http.MethodHead {
		require.Contains(t, a.body, "the session could not be saved")
	}
	require.NotContains(t, a.body, "leaks")
	require.NotContains(t, a.body, "0123456789")
}

func TestEveryCallAfterAFailedCommitReturnsItsError(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		var errs []error
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			makeUnwritable(w, r)
			c := http.NewResponseController(w)
			for range 2 {
				_, e1 := w.Write([]byte("leaks"))
				_, e2 := io.WriteString(w, "leaks")
				_, e3 := w.(io.ReaderFrom).ReadFrom(strings.NewReader("leaks"))
				_, _, e4 := c.Hijack()
				errs = append(errs, e1, e2, e3, e4, c.Flush())
			}
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
			w.Header().Set("X-Handler", "leaks")
			w.Header().Set(http.TrailerPrefix+"X-Handler", "leaks")
			w.(http.Flusher).Flush()
		}, protocol, outside(branded))
		a := s.get("/")
		requireErrorPage(t, a, http.MethodGet)
		require.Empty(t, a.Trailer)
		require.Len(t, errs, 10)
		for _, err := range errs {
			require.ErrorIs(t, err, session.ErrTooLarge)
		}
		require.NotContains(t, s.log.String(), "superfluous")
	})
}

// The same, with an underlying writer that can neither flush nor hijack.
func TestEveryCallReturnsTheErrorOverAPlainWriter(t *testing.T) {
	var flush, hijack error
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		note.Set(session.From(r.Context()), huge)
		w.WriteHeader(200)
		flush = http.NewResponseController(w).Flush()
		_, _, hijack = w.(http.Hijacker).Hijack()
	}, outside(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}))
	require.Equal(t, 500, s.get("/").StatusCode)
	require.ErrorIs(t, flush, session.ErrTooLarge)
	require.ErrorIs(t, hijack, session.ErrTooLarge)
}

func TestErrorHandlerHasTheRawWriterAndTheRequest(t *testing.T) {
	var raw, given http.ResponseWriter
	var got error
	var why reason.Reason
	s := newSite(t, makeUnwritable,
		config(func(c *middleware.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				given, got = w, err
				why = session.From(r.Context()).Reason() // may be called here
				w.Header().Set("X-Error", r.URL.Path)
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, "sorry")
			}
		}),
		outside(func(next http.Handler) http.Handler {
			return branded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				raw = w
				next.ServeHTTP(w, r)
			}))
		}))
	a := s.get("/path")
	require.Same(t, raw, given)
	require.ErrorIs(t, got, session.ErrTooLarge)
	require.Equal(t, reason.Absent, why)
	require.Equal(t, http.StatusTeapot, a.StatusCode)
	require.Equal(t, "sorry", a.body)
	require.Equal(t, "/path", a.Header.Get("X-Error"))
	require.Empty(t, a.Header["X-Handler"])
	require.Equal(t, "stays", a.Header.Get("X-Outer"))
}

// If a handler recovers the ErrorHandler's panic, the handler's body is still not
// sent.
func TestErrorHandlerThatPanics(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			_ = recover()
			_, err := io.WriteString(w, "leaks")
			if err == nil {
				t.Error("the handler could write")
			}
		}()
		note.Set(session.From(r.Context()), huge)
		w.WriteHeader(200)
	}, config(func(c *middleware.Config) {
		c.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic("boom") }
	}))
	require.Empty(t, s.get("/").body)
}

func TestStatusOfTheDefaultErrorPage(t *testing.T) {
	for name, test := range map[string]struct {
		makeUnwritable func(s *session.Session)
		keys           func(c *middleware.Config)
		status         int
		reason         reason.Reason
	}{
		"too large":       {func(s *session.Session) { note.Set(s, huge) }, nil, 500, reason.TooLarge},
		"not encodable":   {func(s *session.Session) { session.Key[chan int]("c").Set(s, nil) }, nil, 500, reason.None},
		"a name too long": {func(s *session.Session) { session.Key[int](huge[:300]).Set(s, 1) }, nil, 500, reason.None},
		"no active key": {func(s *session.Session) { note.Set(s, "x") },
			func(c *middleware.Config) { c.Keys = emptyRing{} }, 503, reason.NoKey},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(_ http.ResponseWriter, r *http.Request) { test.makeUnwritable(session.From(r.Context())) },
				config(func(c *middleware.Config) {
					if test.keys != nil {
						test.keys(c)
					}
				}))
			require.Equal(t, test.status, s.get("/").StatusCode)
			failed := s.events.of(middleware.EventFailed)
			require.Len(t, failed, 1)
			require.Error(t, failed[0].Err)
			require.Equal(t, test.reason, failed[0].Reason)
			require.Empty(t, s.jar.All())
		})
	}
}

// A session that is too large gives an error with its sizes, and the old cookie
// stays.
func TestTooLargeKeepsTheOldCookie(t *testing.T) {
	var saved, lookup error
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		if r.URL.Path == "/in" {
			login(r)
			return
		}
		note.Set(s, huge)
		saved = s.Save(r.Context())
		_, lookup = note.Lookup(s)
	})
	s.get("/in")
	old := s.cookie()
	a := s.get("/grow")
	require.Equal(t, 500, a.StatusCode)
	require.Empty(t, a.Header["Set-Cookie"])
	require.Equal(t, old, s.cookie())
	require.Equal(t, "ada", s.who())
	require.NoError(t, lookup)

	var large *session.TooLargeError
	require.ErrorAs(t, saved, &large)
	require.ErrorAs(t, s.events.of(middleware.EventFailed)[0].Err, &large)
	require.Positive(t, large.Max)
	require.Greater(t, large.Need, large.Max)
	require.GreaterOrEqual(t, large.Session, len(huge)*3/4, "base64url text is packed to three quarters of its length")
	require.Equal(t, "note", large.Largest[0].Name)
	require.GreaterOrEqual(t, large.Largest[0].Bytes, len(huge)*3/4)
	require.NotContains(t, large.Error(), "0123456789")
}
