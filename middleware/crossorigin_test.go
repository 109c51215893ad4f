package middleware_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
)

// net/http's CrossOriginProtection, around all handlers, refuses requests that
// another site's page sends for a visitor who is logged in. The session is not
// loaded for them.
func TestGuardWithCrossOriginProtection(t *testing.T) {
	protection := http.NewCrossOriginProtection()
	require.NoError(t, protection.AddTrustedOrigin("https://pay.example"))
	s := newSite(t, guarded(middleware.Guard{Login: "/login"}), outside(protection.Handler))
	s.get("/set?user=ada")
	s.events.forget()
	for name, test := range map[string]struct {
		method string
		lines  []string
		status int
	}{
		"own form":                     {"POST", []string{"Sec-Fetch-Site: same-origin", "Origin: " + s.URL}, 200},
		"own form, old browser":        {"POST", []string{"Origin: " + s.URL}, 200},
		"no browser":                   {"POST", nil, 200},
		"typed address":                {"GET", []string{"Sec-Fetch-Site: none"}, 200},
		"link of another site":         {"GET", []string{"Sec-Fetch-Site: cross-site"}, 200},
		"form of another site":         {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.test"}, 403},
		"form, old browser":            {"POST", []string{"Origin: https://evil.test"}, 403},
		"form from a sandbox":          {"POST", []string{"Origin: null"}, 403},
		"form of a subdomain":          {"POST", []string{"Sec-Fetch-Site: same-site", "Origin: https://blog.app.test"}, 403},
		"fetch of another site":        {"PUT", []string{"Sec-Fetch-Site: cross-site"}, 403},
		"deletion by another site":     {"DELETE", []string{"Sec-Fetch-Site: cross-site"}, 403},
		"form of a trusted site":       {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://pay.example"}, 200},
		"of one with a similar name":   {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://pay.example.evil.test"}, 403},
		"form, and Sec-Fetch-Site bad": {"POST", []string{"Sec-Fetch-Site: Same-Origin", "Origin: https://evil.test"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			s.events.forget()
			a := s.request(test.method, "/account", append(test.lines, page)...)
			require.Equal(t, test.status, a.StatusCode, a.body)
			if test.status == http.StatusForbidden {
				require.NotEqual(t, "ada", a.body)
				require.Empty(t, s.events.of(""), "the session was not loaded")
				require.Empty(t, a.Header.Values("Set-Cookie"))
			}
		})
	}
	require.Equal(t, "ada", s.who(), "another site's form did not log the visitor out")
}

// CrossOriginProtection refuses a login that another site's form sends. It would
// log the visitor in as the attacker (login CSRF).
func TestCrossOriginProtectionOfTheLogin(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{Login: "/login"}), outside(http.NewCrossOriginProtection().Handler))
	a := s.request(http.MethodPost, "/login?user=mallory", "Sec-Fetch-Site: cross-site")
	require.Equal(t, http.StatusForbidden, a.StatusCode)
	require.Empty(t, s.who())
	a = s.request(http.MethodPost, "/login?user=ada", "Sec-Fetch-Site: same-origin")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "ada", s.who())
	s.request(http.MethodPost, "/logout", "Sec-Fetch-Site: cross-site")
	require.Equal(t, "ada", s.who())
}
