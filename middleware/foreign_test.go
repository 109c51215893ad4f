package middleware_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// foreignSite returns a site whose ring is up to date, with the cookies of another
// program in its browser. These are at the tag at which all sessions begin, or at
// tags of their own if moved is true.
func foreignSite(t *testing.T, moved bool, options ...option) (s *site, planted map[string]string) {
	t.Helper()
	other := newSite(t, app)
	other.get("/set?user=eve")
	if moved {
		other.moveToOwnTag()
	}
	s = newSite(t, app, append([]option{config(func(c *middleware.Config) { c.Keys = &replica{ring: newRing(t), current: true} })}, options...)...)
	planted = map[string]string{}
	for _, c := range other.jar.All() {
		s.jar.Put(c.Name, c.Value)
		planted[c.Name] = c.Value
	}
	return s, planted
}

// A cookie whose key is not in an up-to-date ring is another program's. It does
// not affect the visitor, and it stays.
func TestForeignCookieHindersNobody(t *testing.T) {
	for name, begin := range map[string]string{"anonymous": "/set?user=ada", "login": "/login?user=ada"} {
		t.Run(name, func(t *testing.T) {
			s, planted := foreignSite(t, true)
			a := s.get("/read")
			require.Equal(t, reason.UnknownKey.String(), a.Header.Get("X-Reason"))
			require.Empty(t, a.Header["Set-Cookie"])
			for _, path := range []string{begin, "/set?user=grace", "/login?user=ada", "/set?user=emmy", "/logout", begin, "/logout"} {
				require.Equal(t, 200, s.get(path).StatusCode, path)
				if _, who, ok := strings.Cut(path, "="); ok {
					require.Equal(t, who, s.who())
				}
				for name, value := range planted {
					require.Equal(t, value, s.jar.Value(name), "after %s", path)
				}
			}
			require.Empty(t, s.who())
		})
	}
}

// Two programs with one name begin their sessions at the same tag. The later session
// replaces the earlier one there, unless the earlier one has moved to a tag of its
// own.
func TestForeignCookieIsReplacedByName(t *testing.T) {
	s, planted := foreignSite(t, false)
	require.Equal(t, 200, s.get("/set?user=ada").StatusCode)
	require.Equal(t, "ada", s.who())
	require.Len(t, s.jar.All(), 1)
	require.NotEqual(t, planted[s.cookie().Name], s.cookie().Value)
}

// Another program's session cookies count like all other cookies of the site.
func TestForeignCookieTakesRoom(t *testing.T) {
	other := newSite(t, storedApp)
	other.grow("a", 5000)
	other.grow("a", 5001)
	s := newSite(t, storedApp, config(func(c *middleware.Config) {
		c.Keys, c.Platform = &replica{ring: newRing(t), current: true}, middleware.APIGateway
	}))
	for _, c := range other.jar.All() {
		s.jar.Put(c.Name, c.Value)
	}
	took := len(s.header()) + len("; ")
	require.Equal(t, 500, s.grow("b", 3000).StatusCode)
	var tooLarge *session.TooLargeError
	require.ErrorAs(t, s.events.of(middleware.EventFailed)[0].Err, &tooLarge)
	require.Equal(t, took, tooLarge.Others)
	require.Equal(t, 200, s.grow("b", 300).StatusCode)
	require.Equal(t, "300", s.length("b"))
}

// If two programs on one host use one name, one log line advises to change a name.
func TestForeignCookieIsAdvisedOnOnce(t *testing.T) {
	var log strings.Builder
	s, _ := foreignSite(t, true, config(func(c *middleware.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }))
	for range 3 {
		s.get("/read")
	}
	require.Equal(t, 1, strings.Count(log.String(), "give one of the two a different Config.Cookie.Name"), log.String())
	require.Contains(t, log.String(), "name=__Host-session")
}
