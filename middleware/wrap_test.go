package middleware_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func TestTimeoutHandlerThatDoesNotFire(t *testing.T) {
	timeout := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Hour, "slow") }
	handler := func(w http.ResponseWriter, r *http.Request) { login(r); _, _ = io.WriteString(w, "hi") }
	inside := timeout(http.HandlerFunc(handler)).ServeHTTP
	overBoth(t, func(t *testing.T, protocol option) {
		for name, s := range map[string]*site{
			"outside": newSite(t, handler, protocol, outside(timeout)),
			"inside":  newSite(t, inside, protocol),
			"both":    newSite(t, inside, protocol, outside(timeout)),
		} {
			require.Equal(t, "hi", s.get("/").body, name)
			require.Equal(t, "ada", s.who(), name)
		}
	})
}

// slow waits for its time-out, and then still uses the session. After the
// time-out's page was sent, it also uses the response. It sends the error to
// result.
func slow(answered <-chan bool, result chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		user.Set(s, "ada")
		<-r.Context().Done()
		for range 100 {
			note.Set(s, time.Now().String())
			_, _ = user.Get(s)
		}
		<-answered
		_, err := io.WriteString(w, "too late")
		result <- err
	}
}

// A TimeoutHandler around the sessions sends its own page, and a later commit of
// the handler's goroutine has no effect.
func TestTimeoutHandlerOutsideThatFires(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		answered, result := make(chan bool), make(chan error, 1)
		s := newSite(t, slow(answered, result), protocol, outside(func(next http.Handler) http.Handler {
			return http.TimeoutHandler(next, time.Millisecond, "slow")
		}))
		a := s.get("/")
		close(answered)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		require.Equal(t, "slow", a.body)
		require.Empty(t, a.Header["Set-Cookie"])
		require.ErrorIs(t, <-result, http.ErrHandlerTimeout)
	})
}

// A TimeoutHandler inside the sessions sends a page like any other, with the
// changes that came before it.
func TestTimeoutHandlerInsideThatFires(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		answered, result := make(chan bool), make(chan error, 1)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			http.TimeoutHandler(slow(answered, result), 50*time.Millisecond, "slow").ServeHTTP(w, r)
		}, protocol)
		a := s.get("/")
		close(answered)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		require.Equal(t, "slow", a.body)
		require.ErrorIs(t, <-result, http.ErrHandlerTimeout)
		require.Equal(t, "ada", s.who())
	})
}

// recovering records the value of a panic and the header at that time.
func recovering(caught *any, header *http.Header) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if *caught = recover(); *caught != nil {
					*header = w.Header().Clone()
					http.Error(w, "recovered", http.StatusInternalServerError)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

func TestPanicCommitsNothingAndGoesOn(t *testing.T) {
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		panics func(w http.ResponseWriter)
		want   any
	}{
		"a value":        {func(http.ResponseWriter) { panic(boom) }, boom},
		"ErrAbort":       {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, http.ErrAbortHandler},
		"invalid status": {func(w http.ResponseWriter) { w.WriteHeader(0) }, "invalid WriteHeader code 0"},
		"negative":       {func(w http.ResponseWriter) { w.WriteHeader(-5) }, "invalid WriteHeader code -5"},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, protocol option) {
				var caught any
				var header http.Header
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					login(r)
					test.panics(w)
				}, protocol, outside(recovering(&caught, &header)))
				a := s.get("/")
				require.Equal(t, test.want, caught)
				require.Empty(t, header)
				require.Equal(t, "recovered\n", a.body)
				require.Empty(t, s.jar.All())
				require.Empty(t, s.events.of(middleware.EventCommitted))
			})
		})
	}
}

func TestPanicReachesTheServer(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		s := newSite(t, func(_ http.ResponseWriter, r *http.Request) {
			login(r)
			panic(http.ErrAbortHandler)
		}, protocol)
		_, err := s.client.Get(s.URL)
		require.Error(t, err)
		require.Empty(t, s.jar.All())
	})
}

// A panic after the first byte does not change the header, which was already sent.
func TestPanicAfterTheHeader(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		login(r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	response, err := s.client.Get(s.URL)
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.Error(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "ada", s.who())
}

func TestMountedTwiceIsOneSession(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		var inner, outer *session.Session
		var s *site
		s = newSite(t, func(w http.ResponseWriter, r *http.Request) {
			outer = session.From(r.Context())
			user.Set(outer, "ada")
			s.sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner = session.From(r.Context())
				note.Set(inner, "both")
			})).ServeHTTP(w, r)
		}, protocol)
		require.Len(t, s.get("/").Header["Set-Cookie"], 1)
		require.Same(t, outer, inner)
		require.Equal(t, "ada", s.who())
		require.Len(t, s.events.of(middleware.EventCommitted), 1)
	})
}

func TestDifferentOnesNest(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		admin, err := middleware.New(middleware.Config{Keys: newRing(t), Cookie: middleware.Cookie{Name: "__Host-admin"}})
		require.NoError(t, err)
		var s *site
		inside := func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if session.From(ctx) != admin.From(ctx) || admin.From(ctx) == s.sessions.From(ctx) {
				t.Error("session.From is not the innermost session, or both Sessions have the same one")
			}
			if r.URL.Path == "/set" {
				user.Set(admin.From(ctx), "root")
				user.Set(s.sessions.From(ctx), "ada")
				return
			}
			outer, _ := user.Get(s.sessions.From(ctx))
			inner, _ := user.Get(session.From(ctx))
			_, _ = io.WriteString(w, outer+" "+inner)
		}
		s = newSite(t, func(w http.ResponseWriter, r *http.Request) {
			admin.Handler(http.HandlerFunc(inside)).ServeHTTP(w, r)
		}, protocol)
		a := s.get("/set")
		require.Len(t, a.Header["Set-Cookie"], 2)
		require.Equal(t, []string{"Cookie"}, a.Header["Vary"])
		require.Equal(t, "ada root", s.get("/").body)
	})
}

func TestFromSaysWhichWiringIsMissing(t *testing.T) {
	m, err := middleware.New(middleware.Config{Keys: newRing(t)})
	require.NoError(t, err)
	require.PanicsWithValue(t, "carryon: Sessions.From: the context has no session of this Sessions; "+
		"wrap the route's handler with Sessions.Handler, and pass r.Context() on", func() { m.From(t.Context()) })
}
