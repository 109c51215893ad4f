package middleware_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func lives(lifetime, idle, touch time.Duration) option {
	return config(func(c *middleware.Config) {
		c.Lifetimes.Absolute, c.Lifetimes.Idle, c.Lifetimes.TouchAfter = lifetime, idle, touch
	})
}

// keepForever makes the browser ignore Max-Age, as an attacker would. The server
// must refuse expired sessions itself.
func keepForever(s *site) { s.jar.Clock = func() time.Time { return noon } }

func TestLifetimeIsEnforcedByTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		configured, want time.Duration
	}{
		"default":  {0, middleware.DefaultLifetime},
		"a second": {time.Second, time.Second},
		"an hour":  {time.Hour, time.Hour},
		"400 days": {middleware.MaxLifetime, middleware.MaxLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, app, lives(test.configured, -1, 0))
			keepForever(s)
			a := s.get("/set?user=ada")
			require.Contains(t, a.Header.Get("Set-Cookie"), "; Max-Age="+strconv.Itoa(int(test.want/time.Second))+";")
			s.clock.advance(test.want - time.Millisecond)
			require.Equal(t, "ada", s.who())
			s.clock.advance(time.Millisecond)
			a = s.get("/read")
			require.Equal(t, 404, a.StatusCode)
			require.Equal(t, reason.Expired.String(), a.Header.Get("X-Reason"))
		})
	}
}

func TestLifetimeIsNotProlongedByUse(t *testing.T) {
	s := newSite(t, app, lives(10*time.Hour, 2*time.Hour, 0))
	s.get("/set?user=0")
	for i := 1; i <= 9; i++ {
		s.clock.advance(time.Hour)
		require.Equal(t, strconv.Itoa(i-1), s.who())
		a := s.get("/set?user=" + strconv.Itoa(i))
		require.Contains(t, a.Header.Get("Set-Cookie"), "; Max-Age="+strconv.Itoa((10-i)*3600)+";")
	}
	s.get("/login?user=renewed")
	require.Equal(t, "renewed", s.who())
	s.clock.advance(time.Hour)
	require.Empty(t, s.who(), "Renew does not prolong it either")
	require.Empty(t, s.jar.All())
}

func TestIdleTimeoutIsEnforcedByTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		configured, want time.Duration
	}{
		"default":    {0, middleware.DefaultIdleTimeout},
		"a second":   {time.Second, time.Second},
		"30 minutes": {30 * time.Minute, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, app, lives(0, test.configured, 0))
			s.get("/set?user=ada")
			s.clock.advance(test.want - time.Millisecond)
			require.Equal(t, "ada", s.bare("/read", s.jar.Header("")).body, "the touch was not sent back")
			s.clock.advance(time.Millisecond)
			a := s.get("/read")
			require.Equal(t, 404, a.StatusCode)
			require.Equal(t, reason.ExpiredIdle.String(), a.Header.Get("X-Reason"))
		})
	}
}

func TestNegativeIdleTimeoutIsNone(t *testing.T) {
	s := newSite(t, app, lives(30*24*time.Hour, -1, 0))
	s.get("/set?user=ada")
	s.clock.advance(30*24*time.Hour - time.Second)
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Empty(t, a.Header["Set-Cookie"], "there is nothing to touch")
}

func TestUseKeepsASessionAlive(t *testing.T) {
	s := newSite(t, app, lives(0, 2*time.Hour, 0))
	s.get("/set?user=ada")
	for range 15 {
		s.clock.advance(90 * time.Minute)
		require.Equal(t, "ada", s.who())
	}
}

func TestTouchAfter(t *testing.T) {
	for name, test := range map[string]struct {
		configured, want time.Duration
	}{
		"default":  {0, time.Hour},
		"a minute": {time.Minute, time.Minute},
		"negative": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, app, lives(0, 2*time.Hour, test.configured))
			s.get("/set?user=ada")
			if test.want > 0 {
				s.clock.advance(test.want - time.Millisecond)
				require.Empty(t, s.get("/read").Header["Set-Cookie"])
				s.clock.advance(time.Millisecond)
			}
			require.NotEmpty(t, s.get("/read").Header["Set-Cookie"])
			if test.want > 0 {
				require.Empty(t, s.get("/read").Header["Set-Cookie"], "it has just been touched")
			}
		})
	}
}

// A touch seals the head again under the tag that the head has, so that the touch
// cannot undo another write. It expires no cookie. The first touch is an exception:
// it moves the head from the tag at which all sessions begin to a tag of its own.
func TestTouchKeepsTheName(t *testing.T) {
	s := newSite(t, app)
	s.get("/set?user=ada")
	begun := s.cookie()
	s.clock.advance(time.Hour)
	require.Len(t, s.get("/read").Header["Set-Cookie"], 2, "one set, and one expired")
	before := s.cookie()
	require.NotEqual(t, begun.Name, before.Name)
	s.clock.advance(time.Hour)
	a := s.get("/read")
	after := s.cookie()
	require.Equal(t, before.Name, after.Name)
	require.NotEqual(t, before.Value, after.Value)
	require.Equal(t, before.Expires, after.Expires, "the absolute end stays")
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.Equal(t, "private", a.Header.Get("Cache-Control"))
}

// A copy of the jar is refused once the session in it has expired, even if the
// visitor's session was kept alive or a new one was begun.
func TestReplayAfterExpiry(t *testing.T) {
	s := newSite(t, app, lives(10*time.Hour, 2*time.Hour, 0))
	s.get("/set?user=ada")
	old := s.jar.Header("")
	s.clock.advance(90 * time.Minute)
	require.Equal(t, "ada", s.who())
	s.clock.advance(time.Hour)
	require.Equal(t, "ada", s.who(), "touched half an hour before")
	require.Empty(t, s.bare("/read", old).body, "the copy has been idle for 2.5 h")

	s.clock.advance(8 * time.Hour)
	a := s.bare("/read", old)
	require.Equal(t, reason.Expired.String(), a.Header.Get("X-Reason"))
	s.get("/set?user=grace")
	require.Equal(t, "grace", s.bare("/read", old+"; "+s.jar.Header("")).body)
	require.Equal(t, "grace", s.bare("/read", s.jar.Header("")+"; "+old).body)
}

func TestBrowserSessionHasNoMaxAge(t *testing.T) {
	s := newSite(t, app, config(func(c *middleware.Config) { c.Cookie.BrowserSession = true }))
	a := s.get("/set?user=ada")
	require.NotContains(t, a.Header.Get("Set-Cookie"), "Max-Age")
	s.clock.advance(time.Hour)
	a = s.get("/read")
	require.Len(t, a.Header["Set-Cookie"], 2, "a touch")
	for _, line := range a.Header["Set-Cookie"] {
		require.NotContains(t, strings.ReplaceAll(line, "=; Max-Age=0;", ""), "Max-Age")
	}
	keepForever(s)
	s.clock.advance(23 * time.Hour)
	require.Equal(t, reason.Expired.String(), s.get("/read").Header.Get("X-Reason"), "the server ends the session by itself")
	s.jar.Restart()
	require.Empty(t, s.jar.All())
}

func TestCreatedAndExpires(t *testing.T) {
	var got []time.Time
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		got = []time.Time{s.Created(), s.Expires()}
		app(w, r)
	})
	s.get("/set?user=ada")
	require.Equal(t, []time.Time{{}, {}}, got)
	s.clock.advance(time.Minute)
	s.get("/login?user=ada")
	require.Equal(t, []time.Time{noon, noon.Add(24 * time.Hour)}, got)
	s.clock.advance(time.Minute)
	s.get("/logout")
	require.Equal(t, []time.Time{noon, noon.Add(24 * time.Hour)}, got, "Renew keeps both")
}

// Replicas whose clocks differ by some seconds agree on a session.
func TestClockSkew(t *testing.T) {
	s := newSite(t, app)
	s.get("/set?user=ada")
	for _, skew := range []time.Duration{-30 * time.Second, 30 * time.Second, -time.Hour} {
		s.clock.advance(skew)
		require.Equal(t, "ada", s.who(), "%v", skew)
		s.get("/set?user=ada-2")
		require.Equal(t, "ada-2", s.who())
		s.get("/set?user=ada")
		require.Equal(t, "ada", s.who())
		s.clock.advance(-skew)
	}
}

// The default cookie has the safe attributes, and browsers accept it.
func TestCookieAttributes(t *testing.T) {
	for name, test := range map[string]struct {
		change func(c *middleware.Config)
		prefix string
		want   string
	}{
		"default": {func(*middleware.Config) {}, "__Host-session.", "Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=Lax"},
		"strict": {func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteStrictMode }, "__Host-session.",
			"Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=Strict"},
		"none": {func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteNoneMode }, "__Host-session.",
			"Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=None"},
		"default mode": {func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteDefaultMode }, "__Host-session.",
			"Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=Lax"},
		"domain": {func(c *middleware.Config) { c.Cookie.Domain = "example.com" }, "__Secure-session.",
			"Max-Age=86400; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax"},
		"path": {func(c *middleware.Config) { c.Cookie.Path = "/app" }, "__Secure-session.",
			"Max-Age=86400; Path=/app; Secure; HttpOnly; SameSite=Lax"},
		"plain http": {func(c *middleware.Config) { c.Cookie.DangerouslyAllowPlainHTTP = true; c.Logger = quiet }, "session.",
			"Max-Age=86400; Path=/; HttpOnly; SameSite=Lax"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, app, config(test.change))
			set := s.get("/set?user=ada").Header.Get("Set-Cookie")
			pair, attributes, _ := strings.Cut(set, "; ")
			require.Equal(t, test.want, attributes)
			require.True(t, strings.HasPrefix(pair, test.prefix), pair[:20])
			expire := s.get("/logout", "Cookie: "+pair).Header.Values("Set-Cookie")
			require.Contains(t, expire, pair[:strings.Index(pair, "=")+1]+"; "+strings.Replace(test.want, "86400", "0", 1))
			jar := sessiontest.Jar{URL: "https://example.com/app/"}
			require.True(t, jar.Set(set), "a browser accepts it")
		})
	}
}

// Every line has the configured attributes, also lines that expire a cookie.
func TestAttributes(t *testing.T) {
	s := newSite(t, app, config(func(c *middleware.Config) {
		c.Cookie.SameSite, c.Cookie.Partitioned, c.Cookie.Priority = http.SameSiteNoneMode, true, "High"
	}))
	for _, path := range []string{"/set?user=ada", "/logout"} {
		for _, line := range s.get(path).Header["Set-Cookie"] {
			require.Contains(t, line, "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Priority=High")
		}
	}
	require.Equal(t, 10_240, s.explain("").Limits.RequestBytes)
}

// Two Sessions with different names on one host are independent.
func TestSessionsSideBySide(t *testing.T) {
	clock := &clock{now: noon}
	shared := func(name string) *middleware.Sessions {
		m, err := middleware.New(middleware.Config{Keys: newRing(t), Cookie: middleware.Cookie{Name: name}, Clock: clock.Now})
		require.NoError(t, err)
		return m
	}
	shop, admin := shared("__Host-shop"), shared("__Host-admin")
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		of := map[string]*middleware.Sessions{"shop": shop, "admin": admin}[r.FormValue("of")].From(r.Context())
		switch r.URL.Path {
		case "/in":
			user.Set(of, r.FormValue("of")+" user")
		case "/out":
			of.Destroy()
		}
		name, _ := user.Get(of)
		fmt.Fprint(w, name)
	}, outside(func(h http.Handler) http.Handler { return shop.Handler(admin.Handler(h)) }))
	s.get("/in?of=shop")
	require.Empty(t, s.get("/?of=admin").body)
	s.get("/in?of=admin")
	require.Equal(t, "shop user", s.get("/?of=shop").body)
	s.get("/out?of=shop")
	require.Equal(t, "admin user", s.get("/?of=admin").body)
	require.Empty(t, s.get("/?of=shop").body)
}

// The clocks of two replicas are 30 s ahead and 30 s behind. Each replica ends a
// session by its own clock. Neither refuses a new session of the other, and
// neither expires a cookie that the other has touched.
func TestLifetimesAndSkewedReplicas(t *testing.T) {
	const skew = 30 * time.Second
	ring := newRing(t)
	at := func(d time.Duration) *site {
		s := newSite(t, app, lives(10*time.Hour, 2*time.Hour, 0), config(func(c *middleware.Config) { c.Keys = ring }))
		s.clock.advance(d)
		return s
	}
	fast, slow := at(skew), at(-skew)
	advance := func(d time.Duration) { fast.clock.advance(d); slow.clock.advance(d) }
	fast.get("/set?user=ada")
	born := fast.header()
	require.Equal(t, "ada", slow.bare("/read", born).body, "it begins a minute in the slow replica's future")
	advance(2*time.Hour - time.Millisecond)
	require.Equal(t, "ada", fast.bare("/read", born).body)
	advance(time.Minute)
	require.Equal(t, reason.ExpiredIdle.String(), fast.bare("/read", born).Header.Get("X-Reason"))
	require.Equal(t, "ada", slow.bare("/read", born).body, "by its own clock, the session is not yet idle")
	advance(time.Millisecond)
	require.Equal(t, reason.ExpiredIdle.String(), slow.bare("/read", born).Header.Get("X-Reason"))

	slow.get("/set?user=grace")
	touched := slow.header()
	advance(2*time.Hour - time.Minute)
	require.Empty(t, fast.bare("/read", touched).body, "for the fast replica the session is idle")
	require.Empty(t, fast.bare("/read", touched).Header["Set-Cookie"], "but it does not expire the cookie")
	require.Equal(t, "grace", slow.bare("/read", touched).body)
	begun := fast.bare("/set?user=eve", touched)
	for _, s := range []*site{fast, slow} {
		s.jar = slow.jar.Clone()
		s.receive(begun)
		require.Equal(t, "eve", s.bare("/read", s.header()).body, "a new session counts at both replicas")
	}

	advance(8*time.Hour + time.Minute)
	require.Equal(t, reason.Expired.String(), fast.bare("/read", touched).Header.Get("X-Reason"))
	slow.events.forget()
	slow.bare("/read", touched)
	require.Contains(t, []reason.Reason{reason.Expired, reason.ExpiredIdle}, slow.events.of(middleware.EventLoaded)[0].Reason)
}

// Cookies are Secure whatever the request says about its scheme, also behind a
// proxy that ends TLS. A client that claims plain HTTP cannot change that.
func TestSecureBehindAProxy(t *testing.T) {
	s := newSite(t, app)
	for _, lines := range [][]string{nil, {"X-Forwarded-Proto: https"}, {"X-Forwarded-Proto: http"}, {"Forwarded: proto=http"}} {
		s.forget()
		for _, line := range s.get("/set?user=ada", lines...).Header.Values("Set-Cookie") {
			require.Contains(t, line, "; Secure;")
		}
	}
}
