package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// termsApp has the paths /remember?d=, /idle?d= and /browser?ends=, and /ends,
// which returns when the session ends.
func termsApp(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	d, _ := time.ParseDuration(r.FormValue("d"))
	switch r.URL.Path {
	case "/remember":
		s.SetLifetime(d)
		user.Set(s, "ada")
	case "/idle":
		s.SetIdleTimeout(d)
	case "/browser":
		s.SetBrowserSession(r.FormValue("ends") == "true")
	case "/ends":
		for _, at := range []time.Time{s.Expires(), s.IdleExpires()} {
			if at.IsZero() {
				fmt.Fprint(w, "- ")
			} else {
				fmt.Fprint(w, at.Sub(noon), " ")
			}
		}
	default:
		app(w, r)
	}
}

func remembers(s *setup) { s.Lifetimes.Max = 30 * 24 * time.Hour }

func TestSetLifetime(t *testing.T) {
	s := newSite(t, termsApp, remembers, lives(0, -1, 0))
	s.get("/set?user=ada")
	before := s.header()
	require.Equal(t, "24h0m0s - ", s.get("/ends").body)
	s.clock.advance(time.Hour)
	s.get("/remember?d=240h")
	require.NotEqual(t, before, s.header(), "a new id")
	require.Equal(t, "241h0m0s - ", s.get("/ends").body)
	require.Equal(t, noon.Add(241*time.Hour), s.cookie().Expires.UTC())
	s.clock.advance(200 * time.Hour)
	require.Equal(t, "ada", s.who())
	s.clock.advance(40 * time.Hour)
	keepForever(s)
	require.Equal(t, reason.Expired.String(), s.get("/read").Header.Get("X-Reason"))

	for d, want := range map[string]string{"1000h": "720h0m0s - ", "1m": "1m0s - ", "-1h": "1s - ", "0": "1s - "} {
		s := newSite(t, termsApp, remembers, lives(0, -1, 0))
		s.get("/remember?d=" + d) // this also begins a session
		require.Equal(t, want, s.get("/ends").body, d)
	}
	s = newSite(t, termsApp)
	s.get("/remember?d=1000h")
	require.Equal(t, "24h0m0s 2h0m0s ", s.get("/ends").body, "no more than the configuration allows")
}

func TestSetIdleTimeout(t *testing.T) {
	s := newSite(t, termsApp)
	s.get("/set?user=ada")
	require.Equal(t, "24h0m0s 2h0m0s ", s.get("/ends").body)
	s.get("/idle?d=10m")
	require.Equal(t, "24h0m0s 10m0s ", s.get("/ends").body)
	s.clock.advance(5 * time.Minute)
	require.NotEmpty(t, s.get("/read").Header["Set-Cookie"], "a touch, after half of the idle timeout")
	s.clock.advance(9 * time.Minute)
	require.Equal(t, "ada", s.who())
	s.clock.advance(10 * time.Minute)
	require.Equal(t, reason.ExpiredIdle.String(), s.get("/read").Header.Get("X-Reason"))

	s = newSite(t, termsApp)
	s.get("/set?user=ada")
	s.get("/idle?d=-1s")
	require.Equal(t, "24h0m0s - ", s.get("/ends").body)
	s.clock.advance(23 * time.Hour)
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.Empty(t, a.Header["Set-Cookie"], "there is nothing to touch")

	s = newSite(t, termsApp, lives(0, -1, 0))
	s.get("/set?user=ada")
	s.get("/idle?d=10m")
	s.clock.advance(9 * time.Minute)
	require.NotEmpty(t, s.get("/read").Header["Set-Cookie"], "a touch, although the configuration has no idle limit")
}

func TestSetBrowserSession(t *testing.T) {
	s := newSite(t, termsApp)
	s.get("/set?user=ada")
	a := s.get("/browser?ends=true")
	require.NotContains(t, a.Header.Get("Set-Cookie"), "Max-Age=8")
	require.Equal(t, "ada", s.who())
	require.Contains(t, s.get("/browser?ends=false").Header.Get("Set-Cookie"), "Max-Age=86400")
	s.get("/browser?ends=true")
	s.jar.Restart()
	require.Empty(t, s.who())
}

// Renew and Login keep the lifetimes that a session was given.
func TestTermsOutliveARenewal(t *testing.T) {
	s := newSite(t, termsApp, remembers)
	s.get("/remember?d=240h")
	s.get("/idle?d=30m")
	s.get("/login?user=grace")
	require.Equal(t, "240h0m0s 30m0s ", s.get("/ends").body)
}

// Browsers keep a cookie for 400 days at most. No line asks for more, even if a
// session's lifetime is set again and again.
func TestNoCookieAsksForMoreThan400Days(t *testing.T) {
	s := newSite(t, termsApp, lives(middleware.MaxLifetime, -1, 0))
	for range 3 {
		a := s.get("/remember?d=20000h")
		require.Contains(t, a.Header.Get("Set-Cookie"), "; Max-Age=34560000;")
		s.clock.advance(300 * 24 * time.Hour)
		require.Equal(t, "ada", s.who())
	}
	for _, change := range []func(c *middleware.Config){
		func(c *middleware.Config) { c.Lifetimes.Absolute = middleware.MaxLifetime + time.Second },
		func(c *middleware.Config) { c.Lifetimes.Max = middleware.MaxLifetime + time.Second },
		func(c *middleware.Config) { c.Lifetimes.Absolute, c.Lifetimes.Max = time.Hour, time.Minute },
	} {
		c := middleware.Config{Keys: newRing(t)}
		change(&c)
		_, err := middleware.New(c)
		require.Error(t, err)
	}
}
