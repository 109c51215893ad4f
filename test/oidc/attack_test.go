package oidc_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// The tests of package oidcsession attack each check with a fake provider: nonce, iss, aud,
// azp, at_hash, sub, the time, a missing ID token, and the parameters of the callback.
// The tests here attack what only a real provider shows: signatures, tokens that are valid
// in another place, PKCE, codes, and the state of several browsers.

// tokenOf returns the ID token and the access token of a sign-in of another browser.
func (s *site) tokensOfAnother(t *testing.T) (id, access string) {
	t.Helper()
	s.BreakToken(tampered(t, func(answer map[string]any) {
		id, access = answer["id_token"].(string), answer["access_token"].(string)
	}))
	s.visitor().signIn()
	s.Repair()
	return id, access
}

// Forged and stolen tokens in the provider's answer to a code sign no one in.
func TestForgedTokens(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, func(s *providers.Settings) { s.JWT = true })
		f := newForger(t)
		id, access := w.newSite(t, nil).tokensOfAnother(t)
		logout := w.logoutToken(t)
		type attack struct {
			change func(answer map[string]any, real token)
			code   string
		}
		attacks := map[string]attack{
			"ID token of another browser":     {func(a map[string]any, _ token) { a["id_token"] = id; a["access_token"] = access }, "nonce_mismatch"},
			"access token of another browser": {func(a map[string]any, _ token) { a["access_token"] = access }, "at_hash"},
			"access token as ID token":        {func(a map[string]any, _ token) { a["id_token"] = a["access_token"] }, ""},
			"logout token as ID token":        {func(a map[string]any, _ token) { a["id_token"] = logout }, "nonce_mismatch"},
		}
		for name, forge := range badSignatures {
			attacks[name] = attack{func(a map[string]any, real token) { a["id_token"] = forge(f, w, real) }, "id_token"}
		}
		for name, c := range attacks {
			t.Run(name, func(t *testing.T) {
				s := w.newSite(t, nil)
				v := s.visitor()
				w.BreakToken(tampered(t, func(a map[string]any) { c.change(a, parse(t, a["id_token"].(string))) }))
				defer w.Repair()
				a := v.get("/page")
				require.Equal(t, http.StatusBadRequest, a.StatusCode, a.body)
				require.False(t, v.signedIn())
				var failed *oidcsession.SignInError
				require.ErrorAs(t, s.lastError(oidcsession.EventSignInFailed), &failed)
				require.NotContains(t, failed.Error(), "eyJ")
				if c.code != "" {
					require.Equal(t, c.code, failed.Code)
				}
			})
		}
	})
}

// claimAttacks change claims of a token whose signature is valid.
var claimAttacks = map[string]func(claims map[string]any){
	"sub":       func(c map[string]any) { c["sub"] = "eve" },
	"iss":       func(c map[string]any) { c["iss"] = "https://evil.example" },
	"aud":       func(c map[string]any) { c["aud"] = "other" },
	"azp":       func(c map[string]any) { c["azp"] = "other" },
	"two aud":   func(c map[string]any) { c["aud"] = []string{providers.ClientID, "other"}; delete(c, "azp") },
	"at_hash":   func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
	"expired":   func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
	"not yet":   func(c map[string]any) { c["nbf"] = time.Now().Add(72 * time.Hour).Unix() },
	"no expiry": func(c map[string]any) { delete(c, "exp") },
}

// Forged ID tokens in the provider's answer to a refresh change nothing that the program
// believes of the visitor.
func TestForgedTokensInARefresh(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		f := newForger(t)
		f.trust(w)
		forgeries := map[string]forgery{}
		for name, forge := range badSignatures {
			forgeries[name] = forge
		}
		for name, change := range claimAttacks {
			forgeries["claim "+name] = func(f *forger, _ *world, real token) string {
				change(real.claims)
				return f.signed(real.claims)
			}
		}
		delete(forgeries, "unknown key") // this test makes the key known
		delete(forgeries, "key in the header")
		for name, forge := range forgeries {
			t.Run(name, func(t *testing.T) {
				s := w.newSite(t, nil)
				v := s.visitor()
				v.signIn()
				t.Cleanup(func() { w.Repair(); f.trust(w) })
				w.BreakToken(tampered(t, func(a map[string]any) {
					real := parse(t, a["id_token"].(string))
					real.claims["name"] = "Eve"
					a["id_token"] = forge(f, w, real)
				}))
				s.expire()
				v.step(http.MethodGet, "/token", nil)
				w.BreakToken(providers.Status(500))
				require.Contains(t, v.get("/page").body, "Ada ada at /page")
				require.Equal(t, 1, s.count(oidcsession.EventRefreshFailed))
				v.token()
			})
		}
		t.Run("control", func(t *testing.T) { // the forger's key counts
			s := w.newSite(t, nil)
			v := s.visitor()
			v.signIn()
			w.BreakToken(tampered(t, func(a map[string]any) {
				real := parse(t, a["id_token"].(string))
				real.claims["name"] = "Ada L."
				a["id_token"] = f.signed(real.claims)
			}))
			s.expire()
			v.token()
			require.Contains(t, v.get("/page").body, "Ada L. at /page")
		})
	})
}

// Callbacks with a state that is missing, foreign, of another browser or used sign no one
// in, and their code is not sent to the provider.
func TestForgedCallbacks(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		s := w.newSite(t, func(set *setup) { set.config.IDToken = oidcsession.IDTokenNever })
		attacker := s.visitor()
		stolen := attacker.pass(attacker.begin("/attacker")) // a callback that was not opened
		used := s.visitor()
		usedCallback := used.pass(used.begin("/page"))
		require.Equal(t, "/page", used.step(http.MethodGet, usedCallback, nil).Header.Get("Location"))
		used.step(http.MethodPost, "/auth/logout", url.Values{})

		for name, c := range map[string]struct {
			v        *visitor
			callback string
		}{
			"no state":               {s.visitor(), without(stolen, "state")},
			"no state, with a flow":  {begun(s), without(stolen, "state")},
			"login CSRF":             {s.visitor(), stolen},
			"login CSRF with a flow": {begun(s), stolen},
			"state of nothing":       {begun(s), with(stolen, "state", "AAAAAAAAAAAAAAAAAAAAAA.AAAA")},
			"after a logout":         {used, usedCallback},
		} {
			t.Run(name, func(t *testing.T) {
				calls := w.Calls(w.Paths.Token)
				a := c.v.step(http.MethodGet, c.callback, nil)
				require.Contains(t, a.Header.Get("Location"), w.Paths.Authorize, "a sign-in of the visitor's own begins")
				require.Equal(t, calls, w.Calls(w.Paths.Token))
				require.False(t, c.v.signedIn())
			})
		}
		require.Equal(t, "/attacker", attacker.step(http.MethodGet, stolen, nil).Header.Get("Location"), "the code was good")
	})
}

// begun returns a visitor with a sign-in under way.
func begun(s *site) *visitor {
	v := s.visitor()
	v.begin("/page")
	return v
}

func with(address, name, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // the program made it
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

func without(address, name string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // the program made it
	}
	query := u.Query()
	query.Del(name)
	u.RawQuery = query.Encode()
	return u.String()
}

func value(address, name string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // the program made it
	}
	return u.Query().Get(name)
}

// A code counts only in the browser and for the sign-in for which it was made (PKCE), and
// only once.
func TestCodes(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		t.Run("injected", func(t *testing.T) {
			s := w.newSite(t, nil)
			victim, attacker := s.visitor(), s.visitor()
			stolen := victim.pass(victim.begin("/victim"))
			own := attacker.pass(attacker.begin("/page"))
			a := attacker.step(http.MethodGet, with(own, "code", value(stolen, "code")), nil)
			require.Equal(t, http.StatusBadRequest, a.StatusCode, a.body)
			require.False(t, attacker.signedIn())
			requireCode(t, s, "invalid_grant")
		})
		t.Run("of another flow of the same browser", func(t *testing.T) {
			s := w.newSite(t, nil)
			v := s.visitor()
			first, second := v.pass(v.begin("/one")), v.pass(v.begin("/two"))
			a := v.step(http.MethodGet, with(second, "code", value(first, "code")), nil)
			require.Equal(t, http.StatusBadRequest, a.StatusCode, a.body)
			require.False(t, v.signedIn())
			requireCode(t, s, "invalid_grant")
		})
		t.Run("replayed at replicas without a store", func(t *testing.T) {
			s := w.newSite(t, func(set *setup) { set.replicas = 2 })
			v := s.visitor()
			callback := v.pass(v.begin("/page"))
			thief := v.copy()
			s.next = 0
			require.Equal(t, "/page", v.step(http.MethodGet, callback, nil).Header.Get("Location"))
			a := thief.step(http.MethodGet, callback, nil)
			require.Equal(t, http.StatusBadRequest, a.StatusCode, a.body)
			require.False(t, thief.signedIn())
			requireCode(t, s, "invalid_grant")
		})
		t.Run("twice at once with a store", func(t *testing.T) {
			s := w.newSite(t, threeInRedis(t))
			v := s.visitor()
			callback := v.pass(v.begin("/page"))
			codes := w.Counts().Codes
			for _, a := range v.burst(10, strings.TrimPrefix(callback, s.front.URL)) {
				require.Equal(t, "/page", a.Header.Get("Location"), "%d %s", a.StatusCode, a.body)
			}
			require.Equal(t, codes+1, w.Counts().Codes)
			v.token()
		})
	})
}

// requireCode requires that the last sign-in has failed with a code.
func requireCode(t *testing.T, s *site, code string) {
	t.Helper()
	var failed *oidcsession.SignInError
	require.ErrorAs(t, s.lastError(oidcsession.EventSignInFailed), &failed)
	require.Equal(t, code, failed.Code)
}

// A provider that names itself in its answers (RFC 9207) must always do so.
func TestIssuerOfTheAnswer(t *testing.T) {
	w := newWorld(t, providers.OIDCProvider, nil)
	for name, change := range map[string]func(callback string) string{
		"missing":  func(c string) string { return without(c, "iss") },
		"empty":    func(c string) string { return with(c, "iss", "") },
		"other":    func(c string) string { return with(c, "iss", "https://evil.example") },
		"longer":   func(c string) string { return with(c, "iss", value(c, "iss")+"/") },
		"an error": func(c string) string { return with(without(without(c, "code"), "iss"), "error", "access_denied") },
	} {
		t.Run(name, func(t *testing.T) {
			s := w.newSite(t, nil)
			v := s.visitor()
			callback := v.pass(v.begin("/page"))
			require.Equal(t, w.URL, value(callback, "iss"))
			calls := w.Calls(w.Paths.Token)
			a := v.step(http.MethodGet, change(callback), nil)
			require.Equal(t, http.StatusBadRequest, a.StatusCode)
			require.False(t, v.signedIn())
			require.Equal(t, calls, w.Calls(w.Paths.Token), "the code is not sent")
			requireCode(t, s, "issuer_mismatch")
		})
	}
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutAttacks change claims of a logout token whose signature is valid.
var logoutAttacks = map[string]func(c map[string]any){
	"iss":              func(c map[string]any) { c["iss"] = "https://evil.example" },
	"aud":              func(c map[string]any) { c["aud"] = "other" },
	"nonce":            func(c map[string]any) { c["nonce"] = "n" },
	"null nonce":       func(c map[string]any) { c["nonce"] = nil },
	"expired":          func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
	"no jti":           func(c map[string]any) { delete(c, "jti") },
	"no sub":           func(c map[string]any) { delete(c, "sub"); delete(c, "sid") },
	"events a list":    func(c map[string]any) { c["events"] = []string{logoutEvent} },
	"events a text":    func(c map[string]any) { c["events"] = logoutEvent },
	"events of others": func(c map[string]any) { c["events"] = map[string]any{"other": map[string]any{}} },
	"no events":        func(c map[string]any) { delete(c, "events") },
}

// Forged logout tokens end no session. A real one does.
func TestForgedLogoutTokens(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		f := newForger(t)
		real := w.logoutToken(t)
		s := w.newSite(t, threeInRedis(t))
		id, access := s.tokensOfAnother(t)
		v := s.visitor()
		v.signIn()
		refuse := func(name, raw string) {
			a := s.visitor().step(http.MethodPost, "/auth/backchannel-logout", url.Values{"logout_token": {raw}})
			require.Equal(t, http.StatusBadRequest, a.StatusCode, name)
		}
		refuse("ID token", id)
		refuse("access token", access)
		for name, forge := range badSignatures {
			refuse(name, forge(f, w, parse(t, real)))
		}
		f.trust(w)
		for name, change := range logoutAttacks {
			claims := maps.Clone(parse(t, real).claims)
			claims["jti"], claims["sub"], claims["exp"] = name, "ada", time.Now().Add(time.Minute).Unix()
			change(claims)
			refuse("claim "+name, f.signed(claims))
		}
		s.clock.advance(time.Minute)
		require.True(t, v.signedIn())
		claims := maps.Clone(parse(t, real).claims)
		claims["sub"] = "ada"
		delete(claims, "sid")
		a := s.visitor().step(http.MethodPost, "/auth/backchannel-logout", url.Values{"logout_token": {f.signed(claims)}})
		require.Equal(t, http.StatusOK, a.StatusCode, "control: the forger's key counts")
		s.clock.advance(middleware.DefaultRevocationMaxAge)
		require.False(t, v.signedIn())
	})
}

// logoutToken returns a logout token of the provider for a session that no one has any
// more.
func (w *world) logoutToken(t *testing.T) (raw string) {
	t.Helper()
	s := w.newSite(t, nil)
	got := make(chan string, 1)
	s.replicas = []http.Handler{http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.PostFormValue("logout_token") })}
	w.Logout("nobody", "no session")
	return <-got
}
