package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
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

// timeLimit is how long a test waits for something that must happen. A test takes
// that long only if it fails.
const timeLimit = 20 * time.Second

func TestStreamCarriesTheCookieInFront(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		arrived := make(chan bool)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			login(r)
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				_, err := fmt.Fprintf(w, "data: %d\n\n", i)
				require.NoError(t, err)
				require.NoError(t, http.NewResponseController(w).Flush())
				select {
				case <-arrived: // the next one is written only after that
				case <-time.After(timeLimit):
					return
				}
			}
		}, protocol)
		response, err := s.client.Get(s.URL)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Len(t, response.Header["Set-Cookie"], 1)
		lines := bufio.NewReader(response.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("data: %d\n", i), line)
			_, err = lines.ReadString('\n')
			require.NoError(t, err)
			arrived <- true
		}
		require.Equal(t, "ada", s.who())
	})
}

func TestSwitchingProtocolsCommits(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		login(r)
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		note.Set(session.From(r.Context()), "too late")
		_, _ = io.WriteString(conn, "raw")
	})
	a := s.get("/", "Connection: Upgrade", "Upgrade: echo")
	require.Equal(t, http.StatusSwitchingProtocols, a.StatusCode)
	require.Equal(t, "raw", a.body)
	require.Equal(t, "ada", s.who())
	require.Len(t, s.events.of(middleware.EventLateChange), 1)
	require.Empty(t, s.events.of(middleware.EventHijacked), "the cookies were sent with the 101")
}

// hijackAndRespond hijacks the connection, and writes a response with the cookies of
// the header map.
func hijackAndRespond(t *testing.T, w http.ResponseWriter) {
	conn, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
	_ = w.Header().Write(buf)
	_, _ = buf.WriteString("\r\nby hand")
	_ = buf.Flush()
}

func TestHijackLeavesTheCookiesInTheHeader(t *testing.T) {
	late := make(chan error, 1)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		login(r)
		hijackAndRespond(t, w)
		note.Set(session.From(r.Context()), "too late")
		late <- session.From(r.Context()).Err()
	})
	require.Equal(t, "by hand", s.get("/").body)
	require.Equal(t, "ada", s.who())
	hijacked := s.events.of(middleware.EventHijacked)
	require.Len(t, hijacked, 1)
	require.Equal(t, 1, hijacked[0].Set)
	require.ErrorIs(t, <-late, session.ErrLate)
}

func TestHijackWithoutChangesIsSilent(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { hijackAndRespond(t, w) })
	a := s.get("/")
	require.Equal(t, "by hand", a.body)
	require.Empty(t, a.Header["Set-Cookie"])
	require.Empty(t, s.events.of(""))
}

// After a hijack, the response cannot be replaced, so a failed commit is an event.
func TestHijackWithAFailedCommitIsAnEvent(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		note.Set(session.From(r.Context()), huge)
		hijackAndRespond(t, w)
	})
	a := s.get("/")
	require.Equal(t, "by hand", a.body)
	require.Empty(t, a.Header["Set-Cookie"])
	require.Len(t, s.events.of(middleware.EventFailed), 1)
}

// In HTTP/2 a handler cannot hijack the connection; it can still answer.
func TestHijackThatFailsLeavesTheSessionOpen(t *testing.T) {
	var err error
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		_, _, err = w.(http.Hijacker).Hijack()
		login(r)
		w.WriteHeader(http.StatusUpgradeRequired)
	}, overHTTP2)
	a := s.get("/")
	require.Equal(t, 2, a.ProtoMajor)
	require.ErrorIs(t, err, http.ErrNotSupported)
	require.Equal(t, http.StatusUpgradeRequired, a.StatusCode)
	require.Equal(t, "ada", s.who())
}

func TestCloseNotifyTellsOfAVisitorWhoLeaves(t *testing.T) {
	plain := func(next http.Handler) http.Handler { return next }
	hidden := func(next http.Handler) http.Handler { // a wrapper without the method
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}
	for name, wrapper := range map[string]func(http.Handler) http.Handler{"server's": plain, "context's": hidden} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, protocol option) {
				started, notified := make(chan bool), make(chan bool, 1)
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					//lint:ignore SA1019 gin needs it
					gone := w.(http.CloseNotifier).CloseNotify()
					close(started)
					select {
					case <-gone:
						notified <- true
					case <-time.After(timeLimit):
						notified <- false
					}
				}, protocol, outside(wrapper))
				ctx, leave := context.WithCancel(t.Context())
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
				require.NoError(t, err)
				go func() { <-started; leave() }()
				_, err = s.client.Do(r)
				require.Error(t, err)
				require.True(t, <-notified)
			})
		})
	}
}

// Goroutines that outlive their handler can read the session. Their changes are
// refused and reported as late.
func TestGoroutinesMayOutliveTheHandler(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		returned, result := make(chan bool), make(chan error, 8)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			login(r)
			for range cap(result) {
				go func() {
					s := session.From(r.Context())
					_, _ = user.Get(s) // in parallel with the commit
					<-returned
					note.Set(s, "too late")
					if name, _ := user.Get(s); name != "ada" {
						t.Errorf("the goroutine reads %q", name)
					}
					result <- s.Err()
				}()
			}
		}, protocol)
		s.get("/")
		close(returned)
		for range cap(result) {
			require.ErrorIs(t, <-result, session.ErrLate)
		}
		require.Equal(t, "ada", s.who())
	})
}

// Goroutines may also save a stored session while Finish cleans up after a login.
// The race detector checks the accesses. A clock and an observer would lock, which
// hides races, so the test uses neither.
func TestGoroutinesMaySaveWhileTheHandlerEnds(t *testing.T) {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	m, err := middleware.New(middleware.Config{Keys: ring, Fallback: middleware.Fallback{Store: store, Mode: middleware.AlwaysStored}})
	require.NoError(t, err)
	var all sync.WaitGroup
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login(r)
		for range 4 {
			all.Go(func() {
				for i := range 20 {
					note.Set(session.From(r.Context()), strconv.Itoa(i))
					_ = session.From(r.Context()).Save(t.Context())
					m.Explain(r)
				}
			})
		}
	}))
	var jar sessiontest.Jar
	for range 20 {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", jar.Header(""))
		h.ServeHTTP(w, r)
		for _, line := range w.Header()["Set-Cookie"] {
			jar.Set(line)
		}
	}
	all.Wait()
}
