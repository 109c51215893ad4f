package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Session cookies beyond the bounds on number and bytes are not opened. All others
// are, and none is treated as another program's.
func TestCookiesBeyondWhatIsLookedAt(t *testing.T) {
	s, name, value := loggedIn(t)
	garbage := func(n, size int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "__Host-session.%s=%s; ", suffixOf(i), value[:20]+strings.Repeat("A", size))
		}
		return b.String()
	}
	for what, c := range map[string]struct {
		garbage string
		tooMany bool
	}{
		"few":               {garbage(20, 100), false},
		"nearly too many":   {garbage(255, 100), false},
		"too many":          {garbage(256, 100), true},
		"nearly 256 KiB":    {garbage(63, 4000), false},
		"more than 256 KiB": {garbage(66, 4000), true},
	} {
		s.events.forget()
		ctx, x := s.sessions.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{c.garbage + name + "=" + value}})
		_, recognised := user.Get(session.From(ctx))
		require.Equal(t, what != "too many", recognised, what)
		require.Equal(t, c.tooMany, slices.Contains(reasonsOf(s.events.of(middleware.EventRefused)), reason.TooMany), what)
		user.Set(session.From(ctx), "eve")
		_, err := x.Commit(ctx, middleware.Response{Status: 200})
		large, _ := errors.AsType[*session.TooLargeError](err)
		require.Equal(t, c.tooMany, large != nil && large.Limit == session.LimitCookies, "a write is refused, because unopened cookies could hold newer entries: %s", what)

		ctx, x = s.sessions.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{c.garbage + name + "=" + value}})
		session.From(ctx).Destroy()
		fields, err := x.Commit(ctx, middleware.Response{Status: 200})
		require.NoError(t, err)
		require.NotEmpty(t, fields.SetCookie, "a logout succeeds: %s", what)
	}
}

// A cookie with a bad seal may be another program's, so it stays. If its name occurs
// twice, it is expired, because some combinations may not have been tried.
func TestDoubledNamesAreNotForeign(t *testing.T) {
	ring := newRing(t)
	s, _, value := loggedIn(t, config(func(c *middleware.Config) { c.Keys = ring }))
	other := newSite(t, app, config(func(c *middleware.Config) { c.Keys, c.Audience = ring, "another" }))
	other.get("/login?user=eve")
	other.moveToOwnTag()
	name := other.jar.All()[0].Name
	one := name + "=" + other.jar.All()[0].Value
	expires := func(cookies string) bool {
		lines := s.bare("/login?user=grace", cookies).Header["Set-Cookie"]
		return strings.Contains(strings.Join(lines, "\n"), name+"=; Max-Age=0")
	}
	require.False(t, expires(one))
	require.True(t, expires(one+"; "+name+"="+value))

	// The same is true if there are more cookies than are opened.
	sealed := other.jar.All()[0].Value
	pieces := name + ".1=" + sealed[20:] + "; " + name + "=" + sealed[:20] // in the wrong order
	require.False(t, expires(pieces))
	flood := strings.Repeat("; "+strings.Split(name, ".")[0]+".aaaaaaaaaa=x", 600)
	require.True(t, expires(one+flood))
	require.True(t, expires(pieces+flood))
}

// A session expires exactly at its end, also for a request that reloads it.
func TestReloadAtTheEnd(t *testing.T) {
	s := newSite(t, app, lives(time.Hour, -1, 0))
	s.get("/set?user=ada")
	ctx, _ := s.sessions.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{s.header()}})
	v := session.From(ctx)
	require.Equal(t, []string{"user"}, v.Names())
	s.clock.advance(time.Hour - time.Millisecond)
	require.NoError(t, v.Reload(ctx))
	require.Equal(t, reason.None, v.Reason())
	s.clock.advance(time.Millisecond)
	require.NoError(t, v.Reload(ctx))
	require.Equal(t, reason.Expired, v.Reason())
	require.Empty(t, v.Names())
}

// The realm of a 401 is a valid quoted string, whatever the Host field contains.
func TestRealmIsQuoted(t *testing.T) {
	h := newSessions(t).Handler(middleware.Require(user, middleware.Guard{})(http.HandlerFunc(read)))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "sh\"op\\.te\x7fst\r\n é:80"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, `Session realm="shop.test:80"`, w.Header().Get("WWW-Authenticate"))
}

// Another program's session in several cookies stays, in whatever order the
// cookies come.
func TestForeignPiecesInAnyOrderStay(t *testing.T) {
	ring := newRing(t)
	s, _, _ := loggedIn(t, config(func(c *middleware.Config) { c.Keys = ring }))
	other := newSite(t, sized, config(wide), config(func(c *middleware.Config) { c.Keys, c.Audience = ring, "another" }))
	other.put(6000)
	require.Len(t, other.jar.All(), 3)
	var pairs []string
	for _, c := range other.jar.All() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	for range pairs {
		pairs = append(pairs[1:], pairs[0])
		for _, path := range []string{"/login?user=grace", "/logout"} {
			for _, line := range s.bare(path, strings.Join(pairs, "; ")+"; "+s.header()).Header["Set-Cookie"] {
				require.NotContains(t, line, other.jar.All()[0].Name)
			}
		}
	}
}
