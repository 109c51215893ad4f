package middleware_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// calls is a request with a jar's cookies, whose lines go into the jar.
func calls(t *testing.T, m *middleware.Sessions, jar *sessiontest.Jar, do func(s *session.Session)) error {
	t.Helper()
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodPost, Cookies: []string{jar.Header("")}})
	do(session.From(ctx))
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	for _, line := range fields.SetCookie {
		require.True(t, jar.Set(line))
	}
	require.NoError(t, x.Finish(ctx))
	return err
}

func limited(response int) func(*middleware.Config) {
	return func(c *middleware.Config) {
		c.Limits = middleware.Limits{ResponseBytes: response, RequestBytes: 32_000, Cookies: 40}
	}
}

// A state that fits one response to the byte is joinable: what is known of its
// length without making it is only a bound, and refuses nothing.
func TestJoinableToTheByte(t *testing.T) {
	const limit = 3000
	now := (&clock{now: noon}).Now
	m := newSessions(t, limited(limit), func(c *middleware.Config) { c.Clock = now })
	for n := 1900; ; n++ {
		jar := &sessiontest.Jar{Clock: now}
		require.NoError(t, calls(t, m, jar, func(s *session.Session) { session.Key[string]("fill").Set(s, strings.Repeat("x", n)) }))
		err := calls(t, m, jar, func(s *session.Session) { note.Set(s, "a") })
		if err == nil {
			continue
		}
		var large *session.TooLargeError
		require.ErrorAs(t, err, &large)
		require.Equal(t, limit, large.Max)
		require.Greater(t, large.Need, limit)
		require.LessOrEqual(t, large.Need, limit+2, "a byte less, which is a character or two, was accepted")
		return
	}
}

// What only shrinks a state is written, though the state is not joinable any more
// since a replica has smaller limits.
func TestShrinkingNeedNotBeJoinable(t *testing.T) {
	keys, now := newRing(t), (&clock{now: noon}).Now
	same := func(c *middleware.Config) { c.Keys, c.Clock = keys, now }
	before, after := newSessions(t, same), newSessions(t, same, limited(2000))
	jar := &sessiontest.Jar{Clock: now}
	require.NoError(t, calls(t, before, jar, func(s *session.Session) {
		session.Key[string]("large").Set(s, strings.Repeat("x", 2500))
		session.Key[string]("small").Set(s, strings.Repeat("x", 100))
	}))
	require.ErrorIs(t, calls(t, after, jar, func(s *session.Session) { note.Set(s, "a") }), session.ErrTooLarge)
	require.NoError(t, calls(t, after, jar, func(s *session.Session) { s.Delete("small") }))
	require.NoError(t, calls(t, after, jar, func(s *session.Session) { require.Equal(t, []string{"large"}, s.Names()) }))
}
