package oidcsession

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
)

// expire makes the visitor's access token expire.
func (s *site) expire() { s.clock.advance(s.provider.lifetime + time.Minute) }

// Parallel requests with an expired token refresh it once, at a provider that ends the
// grant when a refresh token is used twice: in one process without a store, and among
// three replicas with one.
func TestRefreshOnce(t *testing.T) {
	for name, change := range map[string]func(*setup){
		"one replica":    nil,
		"three replicas": func(set *setup) { set.replicas = 3; withStore(set) },
		"in the store": func(set *setup) {
			set.replicas = 3
			withStore(set)
			set.sessions.Fallback.Mode = middleware.AlwaysStored
		},
	} {
		for _, n := range []int{6, 30, 200} {
			t.Run(fmt.Sprintf("%s, %d requests", name, n), func(t *testing.T) {
				s := newSite(t, change)
				s.get("/")
				old := s.step(http.MethodGet, "/token").body
				for round := range 3 {
					s.expire()
					before := s.jar.Clone()
					answers := s.burst(n, "/token")
					for _, a := range answers {
						require.Equal(t, 200, a.StatusCode, a.body)
						require.Equal(t, answers[0].body, a.body)
						require.NotEqual(t, old, a.body)
					}
					old = answers[0].body
					_, refreshes, refused := s.provider.counts()
					require.Equal(t, round+1, refreshes)
					require.Zero(t, refused)
					// Any one of the responses suffices, the others may be lost.
					s.useJar(before)
					s.receive(answers[(round*7)%n])
					require.Equal(t, old, s.step(http.MethodGet, "/token").body)
				}
				require.Equal(t, "Ada ada at /", s.get("/").body)
			})
		}
	}
}

// Replicas without a common store may both refresh. No visitor is signed out for that, as
// long as the provider keeps the grant.
func TestRefreshRaceWithoutAStore(t *testing.T) {
	s := newSite(t, func(set *setup) { set.replicas = 3 })
	s.get("/")
	s.expire()
	s.provider.set(func() { s.provider.delay = 20 * time.Millisecond })
	answers := s.burst(30, "/token")
	won := ""
	for _, a := range answers {
		if a.StatusCode == 200 {
			won = a.body
			continue
		}
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode, a.body)
		require.Contains(t, a.body, "lost race")
	}
	require.NotEmpty(t, won)
	for i := range answers {
		s.receive(answers[len(answers)-1-i])
	}
	require.Equal(t, won, s.step(http.MethodGet, "/token").body)
	require.Equal(t, "Ada ada at /", s.get("/").body)
	require.Zero(t, s.count(EventSignedOut))
}

// A refusal of the refresh token that is really in the session signs out.
func TestRefreshRefused(t *testing.T) {
	for name, change := range map[string]func(*setup){"with a store": withStore, "without": nil} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, change)
			s.get("/")
			s.provider.set(func() {
				for _, g := range s.provider.refresh {
					g.ended = true
				}
			})
			s.expire()
			a := s.step(http.MethodGet, "/token")
			if change == nil {
				require.Equal(t, "lost race invalid_grant\n", a.body)
				require.Contains(t, s.get("/public").body, " true ")
				s.clock.advance(10 * time.Second)
				a = s.step(http.MethodGet, "/token")
			}
			require.Equal(t, http.StatusUnauthorized, a.StatusCode)
			require.Contains(t, a.body, "permanent")
			require.Equal(t, " false []", s.get("/public").body)
			require.Equal(t, 1, s.count(EventSignedOut))
		})
	}
}

// A provider that fails signs nobody out, whatever it answers. As long as the access
// token is valid, requests go on with it.
func TestProviderFails(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter) bool{
		"500": func(w http.ResponseWriter) bool { w.WriteHeader(500); return true },
		"503 with JSON": func(w http.ResponseWriter) bool {
			writeJSON(w, 503, map[string]any{"error": "invalid_grant"})
			return true
		},
		"429": func(w http.ResponseWriter) bool { w.WriteHeader(429); return true },
		"invalid client": func(w http.ResponseWriter) bool {
			writeJSON(w, 401, map[string]any{"error": "invalid_client"})
			return true
		},
		"a page": func(w http.ResponseWriter) bool {
			_, _ = io.WriteString(w, "<html>maintenance eyJabc</html>")
			return true
		},
		"nothing": func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			s.get("/")
			old := s.step(http.MethodGet, "/token").body
			s.provider.set(func() { s.provider.fail = fail })
			s.clock.advance(59*time.Minute + 30*time.Second) // due, and valid
			require.Equal(t, old, s.step(http.MethodGet, "/token").body)
			s.clock.advance(time.Minute)
			a := s.step(http.MethodGet, "/token")
			require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
			require.Contains(t, a.body, "transient")
			require.NotContains(t, a.body, "eyJ")
			require.Contains(t, s.get("/public").body, " true ", "still signed in")
			s.provider.set(func() { s.provider.fail = nil })
			s.clock.advance(time.Second)
			require.Equal(t, 200, s.step(http.MethodGet, "/token").StatusCode)
			for _, e := range s.events {
				if e.Err != nil {
					require.NotContains(t, e.Err.Error(), "eyJ")
					require.NotContains(t, e.Err.Error(), "refresh2")
				}
			}
		})
	}
}

// The tokens of visitors do not all become due at the same time before their end, but
// each at a fixed time.
func TestDueHasJitter(t *testing.T) {
	times := map[int64]bool{}
	for i := range 100 {
		tok := tokens{Access: fmt.Sprint(i), Expires: time.Hour.Milliseconds()}
		at := int64(0)
		for !tok.due(at) {
			at += 100
		}
		early := tok.Expires - at
		require.GreaterOrEqual(t, early, time.Minute.Milliseconds()-100)
		require.LessOrEqual(t, early, 90*time.Second.Milliseconds())
		times[at/1000] = true
	}
	require.Greater(t, len(times), 10)
	short := tokens{Access: "a", Expires: 2000}
	require.False(t, short.due(1500))
	require.True(t, short.due(1900))
	require.False(t, (&tokens{Access: "a"}).due(1<<50), "without an end never")
}

// A refresh updates the claims. It never takes over those of another user.
func TestRefreshUpdatesClaims(t *testing.T) {
	s := newSite(t, nil)
	s.get("/")
	s.provider.set(func() { s.provider.claims["name"] = "Countess" })
	s.expire()
	s.step(http.MethodGet, "/token")
	require.Equal(t, "Countess at /", s.get("/").body)
	s.provider.set(func() { s.provider.claims["name"] = "Eve"; s.provider.user = "eve" })
	s.expire()
	require.Equal(t, 200, s.step(http.MethodGet, "/token").StatusCode)
	require.Equal(t, "Countess at /", s.get("/").body)
	require.Equal(t, 1, s.count(EventRefreshFailed))
}

// Client adds the token to requests, and the error of a refresh is found in its error.
func TestClient(t *testing.T) {
	got := make(chan string, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") }))
	defer api.Close()
	s := newSite(t, nil)
	s.get("/")
	token := s.step(http.MethodGet, "/token").body
	call := s.call(func(r *http.Request) error {
		response, err := s.auths[0].Client(r.Context()).Get(api.URL)
		if err == nil {
			response.Body.Close()
		}
		return err
	})
	require.NoError(t, call(s.jar.Header("")))
	require.Equal(t, "Bearer "+token, <-got)
	require.ErrorIs(t, call(""), ErrNotSignedIn)
	require.Equal(t, http.StatusUnauthorized, StatusOf(call("")))
}

// A sign-in that was begun and left takes no room any more when the tokens are
// refreshed.
func TestRefreshDropsExpiredFlows(t *testing.T) {
	s := newSite(t, nil)
	s.begin("/left")
	s.get("/")
	require.Contains(t, s.get("/public").body, "flow")
	s.clock.advance(time.Hour)
	require.Equal(t, 200, s.step(http.MethodGet, "/token").StatusCode)
	require.NotContains(t, s.get("/public").body, "flow")
}

// A token that a service has refused is refreshed once, however many requests ask.
func TestRefreshOfARefusedToken(t *testing.T) {
	s := newSite(t, nil)
	s.get("/")
	old := s.step(http.MethodGet, "/token").body
	answers := s.burst(6, "/refresh?refused="+url.QueryEscape(old))
	fresh := answers[0].body
	for _, a := range answers {
		s.receive(a)
		require.Equal(t, fresh, a.body)
	}
	require.NotEqual(t, old, fresh)
	require.Equal(t, fresh, s.step(http.MethodGet, "/token").body)
	require.Equal(t, fresh, s.step(http.MethodGet, "/refresh?refused="+url.QueryEscape(old)).body, "it is not that token any more")
	_, refreshes, refused := s.provider.counts()
	require.Equal(t, 1, refreshes)
	require.Zero(t, refused)
}

// The token does not follow a redirect to another host, nor back from there.
func TestClientRedirects(t *testing.T) {
	got := make(chan string, 10)
	var other *httptest.Server
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.URL.Path + " " + strconv.FormatBool(r.Header.Get("Authorization") != "")
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/away", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL+"/there", http.StatusFound)
		}
	}))
	defer api.Close()
	other = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.URL.Path + " " + strconv.FormatBool(r.Header.Get("Authorization") != "")
	}))
	defer other.Close()
	s := newSite(t, nil)
	s.get("/")
	call := s.call(func(r *http.Request) error {
		response, err := s.auths[0].Client(r.Context()).Get(api.URL + "/here")
		if err == nil {
			response.Body.Close()
		}
		return err
	})
	require.NoError(t, call(s.jar.Header("")))
	require.Equal(t, "/here true", <-got)
	require.Equal(t, "/away true", <-got)
	require.Equal(t, "/there false", <-got)
}

// A response that has begun cannot carry new tokens, so that the refresh token is not
// spent. The next request refreshes.
func TestTokenAfterTheHeader(t *testing.T) {
	s := newSite(t, nil)
	s.get("/")
	old := s.step(http.MethodGet, "/token").body
	s.clock.advance(time.Hour - 10*time.Second)
	require.Equal(t, old, s.step(http.MethodGet, "/stream").body, "due, but valid")
	s.clock.advance(10 * time.Second)
	require.Equal(t, "transient late\n", s.step(http.MethodGet, "/stream").body)
	_, refreshes, refused := s.provider.counts()
	require.Zero(t, refreshes+refused)
	require.NotEqual(t, old, s.step(http.MethodGet, "/token").body)
	require.Equal(t, "Ada ada at /", s.get("/").body)
}

// call returns a function that runs f in a request with the given cookies.
func (s *site) call(f func(*http.Request) error) func(cookies string) error {
	return func(cookies string) (err error) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", cookies)
		h := s.auths[0].config.Sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { err = f(r) }))
		h.ServeHTTP(httptest.NewRecorder(), r)
		return err
	}
}

// If the session is too large, the ID token goes first, with an event. If it still is,
// the sign-in fails with an error that says which token is how large.
func TestRoom(t *testing.T) {
	limits := func(set *setup) { set.sessions.Platform = middleware.APIGateway }
	s := newSite(t, limits)
	s.provider.set(func() { s.provider.claims["filler"] = strings.Repeat("f", 2000) })
	s.get("/")
	require.Zero(t, s.count(EventIDTokenDropped))
	require.Contains(t, s.get("/public").body, "id token")

	s = newSite(t, limits)
	s.provider.set(func() { s.provider.size, s.provider.claims["filler"] = 4500, strings.Repeat("f", 2000) })
	require.Equal(t, "Ada ada at /", s.get("/").body)
	require.Equal(t, 1, s.count(EventIDTokenDropped))
	require.NotContains(t, s.get("/public").body, "id token")

	s = newSite(t, limits)
	s.provider.set(func() { s.provider.size = 9000 })
	a := s.get("/")
	require.Equal(t, http.StatusInternalServerError, a.StatusCode)
	require.Contains(t, a.body, "more data than this site can keep")
	var failed *SignInError
	for _, e := range s.events {
		if e.Kind == EventSignInFailed {
			require.ErrorAs(t, e.Err, &failed)
		}
	}
	require.NotNil(t, failed)
	require.Greater(t, failed.Sizes.Access, 9000)
	require.Contains(t, failed.Error(), fmt.Sprintf("access token %d bytes", failed.Sizes.Access))
	require.Contains(t, s.get("/public").body, " false ", "the session is as it was")

	s = newSite(t, func(set *setup) { limits(set); withStore(set) })
	s.provider.set(func() { s.provider.size = 9000 })
	require.Equal(t, "Ada ada at /", s.get("/").body, "with a store it fits")
	require.Zero(t, s.count(EventIDTokenDropped))
}

// A refresh that brings larger tokens makes room, too.
func TestRoomForRefresh(t *testing.T) {
	s := newSite(t, func(set *setup) { set.sessions.Platform = middleware.APIGateway })
	s.provider.set(func() { s.provider.claims["filler"] = strings.Repeat("f", 2000) })
	s.get("/")
	s.provider.set(func() { s.provider.size = 4500 })
	s.expire()
	token := s.step(http.MethodGet, "/token").body
	require.Greater(t, len(token), 4500)
	require.Equal(t, token, s.step(http.MethodGet, "/token").body)
	require.Equal(t, 1, s.count(EventIDTokenDropped))
}

// Tokens take about their own length in a cookie, and come back exactly.
func TestTokensArePacked(t *testing.T) {
	s := newSite(t, func(set *setup) { set.config.IDToken = IDTokenNever; set.sessions.Platform = middleware.ALB })
	s.provider.set(func() { s.provider.size = 3000 })
	s.get("/")
	token := s.step(http.MethodGet, "/token").body
	require.Less(t, len(s.jar.Header("")), len(token)*11/10+400)
}

func TestLogout(t *testing.T) {
	s := newSite(t, withStore)
	s.get("/")
	copied := s.jar.Clone()
	a := s.get("/auth/logout")
	require.Contains(t, a.body, `<form method="post">`)
	require.Contains(t, s.get("/public").body, " true ", "a link ends nothing")
	a = s.step(http.MethodPost, "/auth/logout")
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	end, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, s.provider.URL+"/end", end.Scheme+"://"+end.Host+end.Path)
	require.Equal(t, s.jar.URL+"/", end.Query().Get("post_logout_redirect_uri"))
	require.Equal(t, "client", end.Query().Get("client_id"))
	require.Len(t, strings.Split(end.Query().Get("id_token_hint"), "."), 3)
	require.Equal(t, " false []", s.get("/public").body)
	s.useJar(copied)
	require.Equal(t, " false []", s.get("/public").body, "copies of the cookies ended, too")
	require.Equal(t, s.jar.URL+"/", s.step(http.MethodPost, "/auth/logout").Header.Get("Location"), "the visitor is not signed in")
}

// logoutToken returns a logout token of the provider.
func (s *site) logoutToken(change func(map[string]any)) string {
	claims := map[string]any{"iss": s.provider.URL, "aud": "client", "iat": s.clock.now().Unix(), "exp": s.clock.now().Add(2 * time.Minute).Unix(),
		"jti": fmt.Sprint(time.Now().UnixNano()), "sid": "s1", "sub": "ada",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": json.RawMessage("{}")}}
	if change != nil {
		change(claims)
	}
	return s.provider.sign(claims)
}

func (s *site) backChannel(token string) answer {
	s.t.Helper()
	r, err := http.PostForm(s.replicas[0].URL+"/auth/backchannel-logout", url.Values{"logout_token": {token}})
	return read(s.t, r, err)
}

// The provider ends sessions by sid and by sub, at every replica.
func TestBackChannelLogout(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string]any)
		sids   [2]string
		after  [2]bool // which of two devices is still signed in
	}{
		"by sid":         {nil, [2]string{"s1", "s2"}, [2]bool{false, true}},
		"by sid alone":   {func(c map[string]any) { delete(c, "sub") }, [2]string{"s1", "s2"}, [2]bool{false, true}},
		"by sub":         {func(c map[string]any) { delete(c, "sid") }, [2]string{"s1", "s2"}, [2]bool{false, false}},
		"of another sub": {func(c map[string]any) { delete(c, "sid"); c["sub"] = "eve" }, [2]string{"s1", "s2"}, [2]bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(set *setup) { set.replicas = 3; withStore(set) })
			devices := [2]string{}
			for i, sid := range c.sids {
				s.provider.set(func() { s.provider.sid = sid })
				s.get("/")
				devices[i] = s.jar.Header("")
				for _, name := range s.jar.Names() {
					s.jar.Evict(name)
				}
			}
			require.Equal(t, 200, s.backChannel(s.logoutToken(c.change)).StatusCode)
			s.clock.advance(middleware.DefaultRevocationMaxAge)
			for i, device := range devices {
				for _, replica := range s.replicas {
					r, _ := http.NewRequest(http.MethodGet, replica.URL+"/public", nil)
					r.Header.Set("Cookie", device)
					response, err := http.DefaultTransport.RoundTrip(r)
					require.Contains(t, read(t, response, err).body, fmt.Sprintf(" %v ", c.after[i]), "device %d", i)
				}
			}
			require.Equal(t, "Ada ada at /", s.get("/").body, "a new sign-in is not affected")
		})
	}
}

// Bad logout tokens do not make this program read the provider's keys again and again.
func TestBackChannelFlood(t *testing.T) {
	s := newSite(t, withStore)
	s.get("/")
	s.provider.set(func() { s.provider.keyReads = 0 })
	claims := map[string]any{"iss": s.provider.URL, "aud": "client", "sub": "ada", "jti": "j", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	bad := s.provider.sign(claims)
	bad = bad[:len(bad)-8] + "AAAAAAAA"
	for range 20 {
		r, err := http.PostForm(s.jar.URL+"/auth/backchannel-logout", url.Values{"logout_token": {bad}})
		require.Equal(t, http.StatusBadRequest, read(t, r, err).StatusCode)
	}
	s.provider.set(func() { require.LessOrEqual(t, s.provider.keyReads, 1+int(time.Since(s.provider.began)/keyCacheTime)) })
	r, err := http.PostForm(s.jar.URL+"/auth/backchannel-logout", url.Values{"logout_token": {s.provider.sign(claims)}})
	require.Equal(t, http.StatusOK, read(t, r, err).StatusCode)
}

func TestBackChannelAttacks(t *testing.T) {
	s := newSite(t, withStore)
	s.get("/")
	for name, token := range map[string]string{
		"empty":     "",
		"no token":  "a.b.c",
		"iss":       s.logoutToken(func(c map[string]any) { c["iss"] = "https://evil.example" }),
		"aud":       s.logoutToken(func(c map[string]any) { c["aud"] = "other" }),
		"expired":   s.logoutToken(func(c map[string]any) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() }),
		"no events": s.logoutToken(func(c map[string]any) { delete(c, "events") }),
		"ID token":  s.logoutToken(func(c map[string]any) { c["nonce"] = "n" }),
		"no sub":    s.logoutToken(func(c map[string]any) { delete(c, "sid"); delete(c, "sub") }),
		"signature": s.logoutToken(nil) + "A",
		"huge":      strings.Repeat("a", maxLogoutToken+1),
	} {
		a := s.backChannel(token)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, name)
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	}
	require.Contains(t, s.get("/public").body, " true ")

	// A token that is sent again does not end sessions that began since.
	token := s.logoutToken(func(c map[string]any) { delete(c, "sid") })
	require.Equal(t, 200, s.backChannel(token).StatusCode)
	require.Equal(t, "Ada ada at /", s.get("/").body)
	require.Equal(t, 200, s.backChannel(token).StatusCode)
	s.clock.advance(middleware.DefaultRevocationMaxAge)
	require.Contains(t, s.get("/public").body, " true ")

	none := newSite(t, nil)
	require.Equal(t, http.StatusBadRequest, none.backChannel(none.logoutToken(nil)).StatusCode, "without a store it cannot count")
}

// A sign-in at one provider does not count at another one, even in the same session.
func TestProvidersAreApart(t *testing.T) {
	s := newSite(t, nil)
	s.get("/")
	other := newKeys[claims]("https://other.example", "client")
	err := s.call(func(r *http.Request) error {
		if _, ok := other.account.Get(s.auths[0].session(r.Context())); ok {
			return fmt.Errorf("signed in at the other provider")
		}
		return nil
	})(s.jar.Header(""))
	require.NoError(t, err)
}
