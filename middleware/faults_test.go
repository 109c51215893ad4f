package middleware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// quietSite returns a site without an Observer, and its log.
func quietSite(t *testing.T, h http.HandlerFunc, options ...option) (*site, *bytes.Buffer) {
	out := &bytes.Buffer{}
	options = append(options, config(func(c *middleware.Config) {
		c.Observer, c.Logger = nil, slog.New(slog.NewTextHandler(out, nil))
	}))
	return newSite(t, h, options...), out
}

// Without an Observer, failures are logged with sizes and without values. Many
// failures of one kind give few lines.
func TestFailuresAreLoggedWithoutAnObserver(t *testing.T) {
	secret := incompressible(40_000)
	done := make(chan struct{}, 1)
	s, out := quietSite(t, func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		switch r.URL.Path {
		case "/large":
			note.Set(s, secret)
		case "/channel":
			session.Key[any]("note").Set(s, make(chan int))
		case "/late":
			w.WriteHeader(200)
			note.Set(s, "late")
			done <- struct{}{}
		}
	})
	for range 5 {
		require.Equal(t, 500, s.get("/large").StatusCode)
	}
	require.Contains(t, out.String(), "session too large")
	require.Contains(t, out.String(), "response bytes")
	require.NotContains(t, out.String(), secret[:20])
	require.Equal(t, 1, strings.Count(out.String(), "session too large"), "one line in ten seconds")
	s.clock.advance(time.Minute)
	s.get("/large")
	require.Contains(t, out.String(), "omitted=4")
	s.clock.advance(time.Minute)
	answer := s.get("/channel")
	require.Equal(t, 500, answer.StatusCode)
	require.NotContains(t, answer.body, "again", "trying again does not help")
	require.Contains(t, out.String(), "cannot be encoded")
	s.get("/late")
	<-done
	require.Contains(t, out.String(), "late change")
}

// A lifetime outside the permitted range is clamped, and an event and a log line
// report it. Expires returns the time that will be sealed, also in a session that
// begins.
func TestLifetimesThatAreNotPermittedAreTold(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		90 * 24 * time.Hour: 30 * 24 * time.Hour,
		time.Millisecond:    time.Second,
		time.Hour:           time.Hour,
	} {
		var expires time.Time
		program := func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			if r.URL.Path == "/login" {
				s.SetLifetime(asked)
				user.Set(s, "ada")
			}
			expires = s.Expires()
		}
		permit := config(func(c *middleware.Config) { c.Lifetimes.Max = 30 * 24 * time.Hour })
		s := newSite(t, program, permit)
		s.get("/login")
		require.Equal(t, noon.Add(want), expires, "before it is sealed")
		s.get("/look")
		require.Equal(t, noon.Add(want), expires, "after it is sealed")
		clamped := s.events.of(middleware.EventClamped)
		if asked == want {
			require.Empty(t, clamped)
			continue
		}
		require.Len(t, clamped, 1)
		require.Equal(t, "SetLifetime", clamped[0].Detail)
		require.Equal(t, asked, clamped[0].Duration)
		quiet, out := quietSite(t, program, permit)
		quiet.get("/login")
		require.Contains(t, out.String(), "lifetime clamped")
	}
}

// Expires returns the configured end for a session that begins without a lifetime
// of its own, and no time if there is no session.
func TestExpiresOfASessionThatBegins(t *testing.T) {
	var before, after time.Time
	s := newSite(t, func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		before = s.Expires()
		user.Set(s, "ada")
		after = s.Expires()
	})
	s.get("/")
	require.Zero(t, before)
	require.Equal(t, noon.Add(24*time.Hour), after)
}

// A value that does not decode is reported as an event and a log line with its
// key's name. Update keeps the value and fails the response. A program that
// deletes the value first can set a new one.
func TestUndecodableValuesAreToldAndKept(t *testing.T) {
	const number session.Key[int] = "user"
	program := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		switch r.URL.Path {
		case "/get":
			_, ok := number.Get(s)
			fmt.Fprint(w, ok)
		case "/update":
			number.Update(s, func(n int) int { return n + 1 })
		case "/over":
			number.Delete(s)
			number.Update(s, func(n int) int { return n + 1 })
		default:
			app(w, r)
		}
	}
	s := newSite(t, program)
	s.get("/set?user=ada")
	require.Equal(t, "false", s.get("/get").body)
	reported := s.events.of(middleware.EventUndecodable)
	require.Len(t, reported, 1)
	require.Equal(t, `"user"`, reported[0].Detail)
	var wrong *session.DecodeError
	require.ErrorAs(t, reported[0].Err, &wrong)
	require.NotContains(t, reported[0].Err.Error(), "ada")
	require.Equal(t, 500, s.get("/update").StatusCode)
	require.Equal(t, "ada", s.who(), "the value is kept")
	require.Equal(t, 200, s.get("/over").StatusCode)
	require.Equal(t, "true", s.get("/get").body)

	quiet, out := quietSite(t, program)
	quiet.get("/set?user=ada")
	quiet.get("/get")
	require.Contains(t, out.String(), `value not decodable`)
}

// A handler that reads a value, destroys the session and sets the value again does
// not bring back a session that was revoked elsewhere.
func TestDestroyAndSetDoesNotEscapeARevocation(t *testing.T) {
	memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: func() time.Time { return noon }})
	require.NoError(t, err)
	ring := newRing(t)
	share := config(func(c *middleware.Config) { c.Keys, c.Fallback.Store = ring, memory })
	program := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		if r.URL.Path == "/restart" {
			name, _ := user.Get(s)
			s.Destroy()
			user.Set(s, name)
			return
		}
		app(w, r)
	}
	here, elsewhere := newSite(t, program, share), newSite(t, program, share)
	here.get("/login?user=ada")
	id := here.events.of(middleware.EventCommitted)[0].SessionID
	require.Equal(t, "ada", here.who(), "this replica has cached that the session is valid")
	require.NoError(t, elsewhere.sessions.Revoke(t.Context(), id))
	answer := here.get("/restart")
	require.Equal(t, 409, answer.StatusCode)
	require.Empty(t, answer.Header["Set-Cookie"])
	require.Empty(t, here.who())
}

// A visitor may never see a prefetched page, so Pop keeps the flash message for
// the page that the visitor does see.
func TestPopLeavesTheValueInAPrefetch(t *testing.T) {
	program := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		switch r.URL.Path {
		case "/flash":
			note.Set(s, "saved")
			user.Set(s, "ada")
		case "/page":
			said, _ := note.Pop(s)
			io.WriteString(w, said)
		case "/both":
			note.Pop(s)
			user.Set(s, "grace")
		}
	}
	s := newSite(t, program)
	s.get("/flash")
	for _, purpose := range []string{"prefetch", "prefetch;prerender"} {
		answer := s.get("/page", "Sec-Purpose: "+purpose)
		require.Equal(t, "saved", answer.body)
		require.Empty(t, answer.Header["Set-Cookie"])
	}
	s.get("/both", "Sec-Purpose: prefetch")
	require.Equal(t, "grace", s.who(), "other changes are written")
	require.Equal(t, "saved", s.get("/page").body)
	require.Empty(t, s.get("/page").body)
}

// In fixed-name mode, a cookie that a sibling domain has planted in front does not
// win over a newer one.
func TestFixedNameTakesTheNewest(t *testing.T) {
	s := newSite(t, app, config(func(c *middleware.Config) { c.Cookie.FixedName = true }))
	s.get("/login?user=ada")
	old := s.header()
	s.clock.advance(time.Minute)
	s.get("/login?user=grace")
	require.Equal(t, "grace", s.bare("/read", old+"; "+s.header()).body)
	require.Equal(t, "grace", s.bare("/read", s.header()+"; "+old).body)
}

// StatusOf returns the status of each error of a commit, also if the error is
// wrapped.
func TestStatusOfEveryError(t *testing.T) {
	for err, want := range map[error]int{
		session.ErrUnknownKey: 503, session.ErrNoKey: 503, session.ErrStoreDown: 503, session.ErrEnded: 409,
		session.ErrLate: 500, session.ErrTooLarge: 500, errors.New("other"): 500,
		&session.TooLargeError{Limit: session.LimitRequestBytes}: 500, &session.TooLargeError{Limit: session.LimitNewEntries}: 429,
		&session.EncodeError{Err: errors.New("x")}: 500,
	} {
		require.Equal(t, want, middleware.StatusOf(err), err)
		require.Equal(t, want, middleware.StatusOf(fmt.Errorf("wrapped: %w", err)), err)
	}
}

// A key's name may contain any characters. In an error or a log line it is quoted,
// so that it cannot forge a line.
func TestNamesAreQuotedInErrors(t *testing.T) {
	name := "a\nINFO forged \x1b[31m"
	s, out := quietSite(t, func(_ http.ResponseWriter, r *http.Request) {
		session.Key[string](name).Set(session.From(r.Context()), incompressible(40_000))
	})
	require.Equal(t, 500, s.get("/").StatusCode)
	require.NotContains(t, out.String(), "\nINFO forged")
	require.NotContains(t, out.String(), "\x1b")
	for _, err := range []error{
		&session.TooLargeError{Limit: session.LimitRequestBytes, Largest: []session.EntrySize{{Name: name, Bytes: 1}}},
		&session.DecodeError{Key: name, Err: errors.New("x")}, &session.EncodeError{Key: name, Err: errors.New("x")},
	} {
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "\x1b")
	}
}
