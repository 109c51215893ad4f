package oidc_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// signInWithID signs in and returns the ID token.
func (v *visitor) signInWithID(t *testing.T) (id token) {
	t.Helper()
	v.BreakToken(tampered(t, func(a map[string]any) { id = parse(t, a["id_token"].(string)) }))
	v.signIn()
	v.Repair()
	return id
}

// end makes the provider end the session to which an ID token belongs.
func (w *world) end(id token) {
	sid, _ := id.claims["sid"].(string)
	w.Logout(id.claims["sub"].(string), sid)
}

// at asks one replica whether the visitor is signed in.
func (v *visitor) at(t *testing.T, replica int) bool {
	t.Helper()
	v.mu.Lock()
	v.next = replica
	v.mu.Unlock()
	return v.signedIn()
}

// eachLogout runs a test with logout tokens that name the session, or the user, and with
// sessions in cookies, or in the store.
func eachLogout(t *testing.T, test func(t *testing.T, s *site)) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		for how, bySubject := range map[string]bool{"by sid": false, "by sub": true} {
			w := newWorld(t, k, func(s *providers.Settings) {
				s.LogoutBySubject = bySubject
				s.Seconds = 5 // so that the program's clock stays close to the provider's, for the logout token's sake
			})
			for where, mode := range map[string]middleware.Mode{"in cookies": middleware.Auto, "stored": middleware.AlwaysStored} {
				t.Run(how+", "+where, func(t *testing.T) {
					test(t, w.newSite(t, func(set *setup) {
						threeInRedis(t)(set)
						set.sessions.Fallback.Mode = mode
					}))
				})
			}
		}
	})
}

// The provider ends a session while its visitor sends requests and refreshes tokens.
// After RevocationMaxAge no replica accepts the session. Another session of the user
// lives on if the logout token names the session.
func TestBackChannelLogoutUnderLoad(t *testing.T) {
	eachLogout(t, func(t *testing.T, s *site) {
		v, other := s.visitor(), s.visitor()
		id := v.signInWithID(t)
		other.signIn()
		stop := v.load(6)
		for range 3 {
			v.refreshUnderLoad(t)
		}
		s.end(id)
		v.refreshUnderLoad(t)
		stop()
		s.clock.advance(middleware.DefaultRevocationMaxAge)
		for i := range s.replicas {
			require.False(t, v.at(t, i), "replica %d", i)
			require.Equal(t, !s.Settings.LogoutBySubject, other.at(t, i), "replica %d", i)
		}
		require.Equal(t, 1, s.count(oidcsession.EventBackChannelLogout))
		require.NoError(t, s.lastError(oidcsession.EventBackChannelLogout))
		v.signIn()
	})
}

// load sends requests of a browser, n at a time, until stop is called.
func (v *visitor) load(n int) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for !stopped.Load() {
				r := v.request(http.MethodGet, "/token", nil)
				r.Header.Set("Cookie", v.jar.Header(""))
				_, _ = v.send(r) // whatever the answer is
			}
		})
	}
	return func() { stopped.Store(true); wg.Wait() }
}

// refreshUnderLoad makes the access token expire and waits until it was refreshed, or
// the session has ended.
func (v *visitor) refreshUnderLoad(t *testing.T) {
	t.Helper()
	before := v.count(oidcsession.EventRefreshed)
	v.expire()
	await(t, func() bool { return v.count(oidcsession.EventRefreshed) > before || !v.signedIn() })
}

// await waits for a condition.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, patience/10000)
}

// A refresh that is under way when the provider ends the session does not revive it.
func TestBackChannelLogoutDuringARefresh(t *testing.T) {
	eachLogout(t, func(t *testing.T, s *site) {
		v := s.visitor()
		id := v.signInWithID(t)
		s.expire()
		gate := providers.NewGate()
		s.BreakToken(gate.Hold)
		defer s.Repair()
		go func() {
			gate.Wait(t)
			s.end(id)
			gate.Open()
		}()
		v.burst(30, "/token")
		s.clock.advance(middleware.DefaultRevocationMaxAge)
		for i := range s.replicas {
			require.False(t, v.at(t, i), "replica %d", i)
		}
		require.Equal(t, http.StatusUnauthorized, v.step(http.MethodGet, "/token", nil).StatusCode)
	})
}

// form is an HTML form with its hidden fields.
type form struct {
	action string
	fields url.Values
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	formField  = regexp.MustCompile(`<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"`)
)

func formOf(t *testing.T, a answer) (f form) {
	t.Helper()
	action := formAction.FindStringSubmatch(a.body)
	require.NotNil(t, action, a.body)
	f.action, f.fields = action[1], url.Values{}
	for _, field := range formField.FindAllStringSubmatch(a.body, -1) {
		f.fields.Set(field[1], field[2])
	}
	return f
}

// The provider sends the visitor back by a form of its own site. Browsers send that form
// without the session's cookies.
func TestFormPost(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		s := newWorld(t, k, nil).newSite(t, func(set *setup) { set.config.Parameters.Set("response_mode", "form_post") })
		v := s.visitor()
		a := v.get(v.begin("/page"))
		f := formOf(t, a)
		require.Equal(t, s.front.URL+"/auth/callback", f.action)
		require.NotEmpty(t, f.fields.Get("code"), a.body)
		callback := v.jar.CrossSite(http.MethodPost, "/auth/callback", nil, true)
		require.Empty(t, callback.Header.Get("Cookie"))
		a, err := v.send(v.request(http.MethodPost, f.action, f.fields))
		require.NoError(t, err)
		require.Equal(t, http.StatusSeeOther, a.StatusCode)
		require.Contains(t, v.get(a.Header.Get("Location")).body, "Ada ada at /page")
		v.token()
	})
}

// The visitor's logout ends the session here and at the provider, and leads to the page
// after the logout. The provider also tells the program by a logout token.
func TestLogoutAtTheProvider(t *testing.T) {
	for mode, kept := range map[oidcsession.IDTokenMode]bool{oidcsession.IDTokenAlways: true, oidcsession.IDTokenNever: false} {
		t.Run(fmt.Sprintf("with id_token_hint: %v", kept), func(t *testing.T) {
			providers.Each(t, func(t *testing.T, k providers.Kind) {
				s := newWorld(t, k, nil).newSite(t, func(set *setup) {
					threeInRedis(t)(set)
					set.config.IDToken = mode
				})
				v := s.visitor()
				v.signIn()
				stolen := v.copy()
				a := v.step(http.MethodPost, "/auth/logout", url.Values{})
				end := a.Header.Get("Location")
				require.True(t, strings.HasPrefix(end, s.URL+s.Paths.Logout+"?"), end)
				require.Equal(t, kept, value(end, "id_token_hint") != "")
				require.False(t, v.signedIn())
				s.clock.advance(middleware.DefaultRevocationMaxAge)
				require.False(t, stolen.signedIn())

				a = v.get(end)
				if strings.Contains(a.body, "<form") { // the provider asks the visitor
					f := formOf(t, a)
					f.fields.Set("logout", "yes")
					response, err := v.client.Do(v.request(http.MethodPost, f.action, f.fields))
					a = read(t, response, err)
				}
				require.Equal(t, s.front.URL+"/public", a.Request.URL.String(), a.body)
				if !kept && k.Name != providers.OIDCProvider.Name {
					return // this provider knows no session without the hint
				}
				await(t, func() bool { return s.count(oidcsession.EventBackChannelLogout) == 1 })
				require.NoError(t, s.lastError(oidcsession.EventBackChannelLogout))
			})
		})
	}
}
