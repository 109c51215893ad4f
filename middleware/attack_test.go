package middleware_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// loggedIn returns a site with ada logged in, and the name and value of her
// cookie.
func loggedIn(t *testing.T, options ...option) (s *site, name, value string) {
	s = newSite(t, app, options...)
	s.get("/login?user=ada")
	return s, s.cookie().Name, s.cookie().Value
}

// requireNobody sends cookies with a read and with a write. Neither may recognise
// a visitor, and neither may fail with an unexpected status.
func (s *site) requireNobody(cookies ...string) {
	s.t.Helper()
	a := s.bare("/read", cookies...)
	require.Equal(s.t, http.StatusNotFound, a.StatusCode, "%.200q", cookies)
	require.NotEmpty(s.t, a.Header.Get("X-Reason"))
	a = s.bare("/set?user=eve", cookies...)
	require.Contains(s.t, []int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable}, a.StatusCode, "%.200q", cookies)
}

func TestEveryCharacterCounts(t *testing.T) {
	s, name, value := loggedIn(t)
	for i := range value {
		for _, c := range []byte{alphabet[(strings.IndexByte(alphabet, value[i])+1)%64], '=', '!', ' '} {
			s.requireNobody(name + "=" + value[:i] + string(rune(c)) + value[i+1:])
		}
	}
	require.Equal(t, "ada", s.who())
}

func TestCutAndExtendedCookies(t *testing.T) {
	s, name, value := loggedIn(t)
	for i := range value {
		s.requireNobody(name + "=" + value[:i])
		s.requireNobody(name + "=" + value[i+1:])
	}
	for _, more := range []string{"A", "AA", "AAAA", "=", "==", value, "A" + value, strings.Repeat("A", 4096)} {
		s.requireNobody(name + "=" + value + more)
	}
	s.requireNobody(name)
	s.requireNobody(name + "=")
	s.requireNobody(name + `=""`)
}

// A valid value is found among invalid ones of the same name, at any position. A
// sibling domain can plant such a cookie in front of the valid one.
func TestDuplicatesDoNotHideTheGoodOne(t *testing.T) {
	s, name, value := loggedIn(t)
	good, bad := name+"="+value, name+"="+value[:len(value)-4]+"AAAA"
	foreign := newSite(t, app)
	foreign.get("/login?user=eve")
	unknown := name + "=" + foreign.cookie().Value
	for _, cookies := range [][]string{
		{bad + "; " + good},
		{good + "; " + bad},
		{bad + "; " + name + "=; " + name + "=x; " + good + "; " + unknown},
		{unknown + "; " + good},
		{bad, good},
		{good, bad},
		{good + "; " + good + "; " + good},
		{good, good},
	} {
		require.Equal(t, "ada", s.bare("/read", cookies...).body, "%q", cookies)
		require.Equal(t, 200, s.bare("/set?user=x", cookies...).StatusCode)
	}
}

func TestCookieHeaderForms(t *testing.T) {
	s, name, value := loggedIn(t)
	for form, cookies := range map[string][]string{
		"quoted":         {name + `="` + value + `"`},
		"no space":       {"a=1;" + name + "=" + value + ";b=2"},
		"blanks":         {"a=1 ;\t " + name + " = " + value + " \t; b"},
		"empty pairs":    {";;; =; " + name + "=" + value + ";;"},
		"several lines":  {"a=1", name + "=" + value, "b=2"},
		"a bare name":    {name[:len("__Host-session")] + "; " + name + "; " + name + "=" + value},
		"look-alikes":    {"__Host-session=1; __Host-session.=2; __Host-session.abc=3; __Host-sessionX.aaaaaaaaaa=4; " + name + "=" + value},
		"upper case":     {strings.ToUpper(name) + "=x; " + name + "=" + value},
		"commas between": {"a=1, b=2; " + name + "=" + value},
	} {
		require.Equal(t, "ada", s.bare("/read", cookies...).body, form)
	}
}

func TestRenamedCookiesDoNotOpen(t *testing.T) {
	s, name, value := loggedIn(t)
	base, suffix, _ := strings.Cut(name, ".")
	other := strings.Map(func(r rune) rune {
		if r == 'a' {
			return 'b'
		}
		return 'a'
	}, suffix)
	for _, renamed := range []string{
		base + "." + other, base, base + ".", base + "." + strings.ToUpper(suffix), base + "." + suffix + ".1",
		base + "." + suffix + ".0", base + "." + suffix + "." + suffix, "__Secure-session." + suffix, "session." + suffix, suffix,
	} {
		s.requireNobody(renamed + "=" + value)
	}
}

// Cookies of a program with the same ring but another name or audience are
// refused, even if they are renamed.
func TestOtherProgramsCookiesDoNotOpen(t *testing.T) {
	ring := newRing(t)
	shared := config(func(c *middleware.Config) { c.Keys = ring })
	s, name, value := loggedIn(t, shared)
	for what, change := range map[string]func(c *middleware.Config){
		"name":            func(c *middleware.Config) { c.Cookie.Name = "__Host-admin" },
		"prefix":          func(c *middleware.Config) { c.Cookie.Name = "__Secure-session" },
		"audience":        func(c *middleware.Config) { c.Audience = "staging" },
		"shifted lengths": func(c *middleware.Config) { c.Cookie.Name, c.Audience = "session", "__Host-" },
	} {
		other := newSite(t, app, shared, config(change))
		other.get("/login?user=eve")
		_, suffix, _ := strings.Cut(other.cookie().Name, ".")
		s.requireNobody("__Host-session." + suffix + "=" + other.cookie().Value)
		own, _, _ := strings.Cut(other.cookie().Name, ".")
		_, suffix, _ = strings.Cut(name, ".")
		require.NotEqual(t, "ada", other.bare("/read", own+"."+suffix+"="+value).body, what)
	}
}

// Programs on one host that differ only in the name or the audience can log in and
// out independently.
func TestProgramsOnOneHostDoNotDisturbOneAnother(t *testing.T) {
	ring := newRing(t)
	for what, change := range map[string]func(c *middleware.Config){
		"name":     func(c *middleware.Config) { c.Cookie.Name = "__Host-session2" },
		"audience": func(c *middleware.Config) { c.Audience = "other" },
	} {
		t.Run(what, func(t *testing.T) {
			one := newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring }))
			two := newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring }), config(change))
			two.jar.URL = one.URL
			two.client.Jar, two.jar = one.jar, one.jar // cookies do not distinguish ports
			one.get("/login?user=ada")
			two.get("/login?user=bob")
			require.Equal(t, "ada", one.who(), "after the other's login")
			require.Equal(t, "bob", two.who())
			two.get("/set?user=bob-2")
			one.get("/set?user=ada-2")
			require.Equal(t, "ada-2", one.who())
			require.Equal(t, "bob-2", two.who())
			two.get("/logout")
			require.Empty(t, two.who())
			require.Equal(t, "ada-2", one.who(), "after the other's logout")
		})
	}
}

// Content is not parsed before its seal is verified.
func TestCraftedContentNeedsTheSeal(t *testing.T) {
	s, name, value := loggedIn(t)
	raw, err := base64.RawURLEncoding.DecodeString(value)
	require.NoError(t, err)
	_, suffix, _ := strings.Cut(name, ".")
	binding := codec.Binding{Base: "__Host-session", Suffix: suffix}
	forge := newRing(t).Active(noon)
	bomb := strings.Repeat("\x9f\xbf", 500) // unterminated nested CBOR
	for _, plaintext := range []string{"", "\xa0", bomb, "\x5b\xff\xff\xff\xff\xff\xff\xff\xff", string(raw[1:])} {
		sealed, err := codec.Seal(nil, forge, binding, []byte(plaintext))
		require.NoError(t, err)
		forged, err := base64.RawURLEncoding.DecodeString(string(sealed))
		require.NoError(t, err)
		copy(forged, raw[:5]) // claims the site's key
		s.requireNobody(name + "=" + base64.RawURLEncoding.EncodeToString(forged))
		s.requireNobody(name + "=" + base64.RawURLEncoding.EncodeToString([]byte(plaintext)))
	}
	for _, e := range s.events.of(middleware.EventRefused) {
		require.Contains(t, []reason.Reason{reason.BadSeal, reason.WrongLength, reason.Malformed, reason.UnknownFormat, reason.Torn}, e.Reason)
	}
}

// Invalid content under a valid seal is refused and does not panic.
func TestSealedGarbageIsRefused(t *testing.T) {
	ring := newRing(t)
	s := newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring }))
	name := "__Host-session.aaaaaaaaaa"
	for _, plaintext := range []string{"", "\xa0", "\xa1\x01\x01", strings.Repeat("\x9f\xbf", 500), "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"} {
		sealed, err := codec.Seal(nil, ring.Active(noon), codec.Binding{Base: "__Host-session", Suffix: "aaaaaaaaaa"}, []byte(plaintext))
		require.NoError(t, err)
		s.requireNobody(name + "=" + string(sealed))
	}
}

func TestVeryManyCookies(t *testing.T) {
	s, name, value := loggedIn(t)
	var flood []string
	for i := range 3000 {
		flood = append(flood, fmt.Sprintf("__Host-session.%s=%s", suffixOf(i), value))
	}
	s.requireNobody(strings.Join(flood[:3000], "; "))
	s.requireNobody(flood...) // one header line for each cookie
	require.Equal(t, "ada", s.bare("/read", name+"="+value+"; "+strings.Join(flood, "; ")).body)
	require.Equal(t, 200, s.bare("/login?user=ada", strings.Join(flood, "; ")).StatusCode, "a login succeeds")
	require.Equal(t, 200, s.bare("/logout", strings.Join(flood, "; ")).StatusCode)
	require.Equal(t, 404, s.bare("/read", strings.Join(flood, "; ")+"; "+name+"="+value).StatusCode)
	require.Equal(t, "ada", s.bare("/read", strings.Repeat(name+"="+value+"; ", 3000)).body)
	require.Equal(t, "ada", s.bare("/read", strings.Repeat("a=1; ", 3000)+name+"="+value).body)
	require.Equal(t, 404, s.bare("/read", strings.Repeat(flood[0]+"; ", 3000)+name+"="+value).StatusCode)
	last := s.events.of(middleware.EventLoaded)
	require.Equal(t, reason.TooMany, last[len(last)-1].Reason)
}

// suffixOf returns the i-th of 32^10 suffixes.
func suffixOf(i int) string {
	b := []byte("aaaaaaaaaa")
	for at := 9; i > 0; at-- {
		b[at] = "abcdefghijklmnopqrstuvwxyz234567"[i%32]
		i /= 32
	}
	return string(b)
}

func TestMegabyteOfCookies(t *testing.T) {
	s, name, value := loggedIn(t)
	const megabyte = 1_000_000 // net/http accepts 1 MiB of header
	for _, cookies := range []string{
		name + "=" + strings.Repeat("A", megabyte),
		name + "=" + value[:12] + strings.Repeat("A", megabyte),
		strings.Repeat(name+"=;", megabyte/len(name+"=;")),
		strings.Repeat(";", megabyte),
		strings.Repeat(" ", megabyte),
	} {
		require.Equal(t, 404, s.bare("/read", cookies).StatusCode)
	}
	require.Equal(t, "ada", s.bare("/read", strings.Repeat("a=1; ", megabyte/6)+name+"="+value).body)
}

// An attacker plants their own valid session, and the victim logs in. The
// attacker's copy must not show the login, and the planted cookie is removed.
func TestFixation(t *testing.T) {
	ring := newRing(t)
	shared := config(func(c *middleware.Config) { c.Keys = ring })
	attacker := newSite(t, app, shared)
	attacker.get("/set?user=guest")
	planted := attacker.cookie()

	victim := newSite(t, app, shared)
	victim.jar.Put(planted.Name, planted.Value)
	require.Equal(t, "guest", victim.who())
	victim.get("/login?user=victim")
	require.Equal(t, "victim", victim.who())
	require.NotContains(t, victim.jar.Names(), planted.Name)

	require.Equal(t, "guest", attacker.who())
	victim.jar.Put(planted.Name, planted.Value) // plant it again
	require.Equal(t, "victim", victim.who(), "the newer generation wins")
	require.NotEqual(t, planted.Name, victim.jar.All()[0].Name)
}

// After a logout, a copy of the old cookie beside the logout marker is refused.
func TestLogoutHoldsAgainstReplay(t *testing.T) {
	s, name, value := loggedIn(t)
	s.get("/logout")
	s.jar.Put(name, value)
	a := s.get("/read")
	require.Equal(t, 404, a.StatusCode)
	require.Equal(t, reason.LoggedOut.String(), a.Header.Get("X-Reason"))
}
