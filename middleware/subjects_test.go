package middleware_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// Each name of a session ends it, in cookies and in the store, at every replica.
func TestEachSubjectRevokes(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		for _, name := range []string{"ada", "iss|sid-1", "device"} {
			sites, _ := sharing(t, 2)
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada&also=iss|sid-1&also=device")
			require.Equal(t, "ada true", a.get("/whose").body)
			a.grow("a", grow)
			b.get("/bind?user=grace&also=iss|sid-2&also=device2")
			require.Equal(t, "ada", b.with("/read", a.header()).body)

			require.NoError(t, b.sessions.RevokeSubject(t.Context(), name))
			require.Equal(t, reason.Revoked.String(), b.with("/read", a.header()).Header.Get("X-Reason"), name)
			a.clock.advance(middleware.DefaultRevocationMaxAge)
			require.Equal(t, reason.Revoked.String(), a.get("/read").Header.Get("X-Reason"), name)
			require.Equal(t, "grace", b.who())
		}
	})
}

// A name with a separator is not its parts, and a name is not a prefix of another.
func TestSubjectsAreComparedAsAWhole(t *testing.T) {
	sites, _ := sharing(t, 1)
	s := sites[0]
	s.get("/bind?user=iss|sub&also=a%00b")
	for _, other := range []string{"iss", "sub", "iss|", "iss|sub2", "a", "b", "iss|suba\x00b", "\x82"} {
		require.NoError(t, s.sessions.RevokeSubject(t.Context(), other))
	}
	require.Equal(t, "iss|sub", s.who())
}

// A renewal keeps all names, and the next login replaces all.
func TestLoginReplacesAllSubjects(t *testing.T) {
	sites, _ := sharing(t, 1)
	s := sites[0]
	s.get("/bind?user=ada&also=one")
	s.get("/login?user=ada") // Renew
	kept := s.header()
	s.get("/bind?user=grace&also=two")
	require.NoError(t, s.sessions.RevokeSubject(t.Context(), "ada"))
	require.NoError(t, s.sessions.RevokeSubject(t.Context(), "one"))
	require.Equal(t, "grace", s.who())
	require.Empty(t, s.with("/read", kept).body)

	s.get("/bind?user=ada&also=one")
	s.get("/login?user=ada")
	require.NoError(t, s.sessions.RevokeSubject(t.Context(), "one"))
	require.Empty(t, s.who(), "the renewal has kept the second name")
}

// A login after the revocation of any of its names counts, even if the clock of the
// revoking replica was ahead.
func TestLoginAfterTheRevocationOfEitherSubject(t *testing.T) {
	for _, name := range []string{"ada", "sid"} {
		sites, store := sharing(t, 1)
		slow := sites[0]
		fast := newSite(t, bindApp, config(func(c *middleware.Config) {
			c.Keys, c.Fallback.Store = slow.config.Keys, store
			c.Clock = func() time.Time { return slow.clock.Now().Add(29 * time.Second) }
		}))
		slow.get("/bind?user=ada&also=sid")
		require.NoError(t, fast.sessions.RevokeSubject(t.Context(), name))
		slow.clock.advance(middleware.DefaultRevocationMaxAge)
		require.Empty(t, slow.who())
		slow.get("/bind?user=ada&also=sid")
		require.Equal(t, "ada", slow.who(), name)
		require.Equal(t, "ada", fast.with("/read", slow.header()).body)
		require.NoError(t, slow.sessions.RevokeSubject(t.Context(), name), "at the same time")
		require.Empty(t, slow.who(), name)
	}
}

// Each name costs one call in RevocationMaxAge and one at the login, whatever the
// number of requests.
func TestCallsForSubjects(t *testing.T) {
	for also, names := range map[string]int{"": 1, "&also=b": 2, "&also=b&also=c&also=d": 4, "&also=ada": 1} {
		sites, store := sharing(t, 1)
		s := sites[0]
		s.get("/bind?user=ada" + also)
		require.Equal(t, names, strings.Count(strings.Join(store.since(), " "), "load"), "the login")
		s.clock.advance(middleware.DefaultRevocationMaxAge)
		for range 20 {
			require.Equal(t, "ada", s.who())
		}
		require.Len(t, store.since(), 1+names, "the id and %d names", names)
	}
}

// While the store is down, a request waits for one call, not for one of each name, and
// the cached status of each name counts.
func TestSubjectsWhileTheStoreIsDown(t *testing.T) {
	sites, store := sharing(t, 1)
	s := sites[0]
	s.get("/bind?user=ada&also=b&also=c&also=d")
	require.Equal(t, "ada", s.who())
	stolen := s.header()
	require.NoError(t, s.sessions.RevokeSubject(t.Context(), "d"))
	s.get("/bind?user=ada&also=b&also=c")
	require.Equal(t, "ada", s.who())

	store.fail(errors.New("connection refused"))
	s.clock.advance(time.Hour)
	store.since()
	require.Equal(t, "ada", s.who())
	require.LessOrEqual(t, len(store.since()), 2, "one call, which is tried twice")
	require.Equal(t, reason.Revoked.String(), s.with("/read", stolen).Header.Get("X-Reason"))
	store.since()
	require.Equal(t, http.StatusOK, s.get("/bind?user=ada&also=b&also=c&also=d").StatusCode)
	require.LessOrEqual(t, strings.Count(strings.Join(store.since(), " "), "load"), 2)
}

func TestSubjectsOfALoginAreBounded(t *testing.T) {
	sites, _ := sharing(t, 1)
	s := sites[0]
	for _, query := range []string{"&also=", "&also=" + text(256), "&also=b&also=c&also=d&also=e"} {
		require.Equal(t, http.StatusInternalServerError, s.get("/bind?user=ada"+query).StatusCode)
		require.Empty(t, s.who())
	}
	longest := text(255)
	require.Equal(t, http.StatusOK, s.get("/bind?user=ada&also="+longest+"&also="+longest[1:]+"&also="+longest[2:]).StatusCode)
	require.Equal(t, "ada", s.who())
}
