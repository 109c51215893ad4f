package oidcsession

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
)

func TestSignIn(t *testing.T) {
	s := newSite(t, nil)
	require.Equal(t, "Ada ada at /page?a=1&b=2", s.get("/page?a=1&b=2").body)
	require.Equal(t, "Ada ada at /", s.get("/").body)
	require.Equal(t, 1, s.count(EventSignedIn))
	require.Contains(t, s.get("/public").body, "account")
	require.NotContains(t, s.get("/public").body, "flow", "the flow is gone")
	require.Equal(t, 200, s.step(http.MethodGet, "/token").StatusCode)
}

func TestProgramsGet401(t *testing.T) {
	s := newSite(t, nil)
	r, err := http.Get(s.jar.URL + "/page")
	require.Equal(t, http.StatusUnauthorized, read(t, r, err).StatusCode)
}

// Ten tabs sign in at once, from none or from one session, and all arrive at their
// pages, whatever the order in which the provider answers.
func TestTenTabs(t *testing.T) {
	for name, before := range map[string]string{"first visit": "", "with a session": "/auth/login"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			if before != "" {
				s.step(http.MethodGet, before)
			}
			var tabs []string
			for _, a := range s.burst(10, "/auth/login?next=/page") {
				s.receive(a)
				tabs = append(tabs, a.Header.Get("Location"))
			}
			for i := range tabs { // the last first
				a := s.get(strings.TrimPrefix(s.pass(tabs[len(tabs)-1-i]), s.jar.URL))
				require.Equal(t, "Ada ada at /page", a.body, "tab %d", i)
			}
		})
	}
}

// Flows do not pile up: there are at most MaxFlows, in as many entries, and each ends
// after ten minutes.
func TestFlowsAreBounded(t *testing.T) {
	s := newSite(t, nil)
	for range 3 * MaxFlows {
		s.begin("/page")
	}
	require.Equal(t, MaxFlows, strings.Count(s.get("/public").body, "flow"))
	last := s.begin("/last")
	require.Equal(t, "Ada ada at /last", s.get(strings.TrimPrefix(s.pass(last), s.jar.URL)).body)
	s.step(http.MethodPost, "/auth/logout")
	s.begin("/page")
	s.begin("/page")
	s.clock.advance(flowLifetime)
	s.begin("/page")
	require.Equal(t, 1, strings.Count(s.get("/public").body, "flow"))
}

// Of the parameters of a link, only those that are named reach the provider.
func TestLoginParameters(t *testing.T) {
	s := newSite(t, func(set *setup) {
		set.config.Parameters = url.Values{"prompt": {"consent"}, "audience": {"api"}}
		set.config.LoginParameters = []string{"prompt", "login_hint"}
	})
	u, err := url.Parse(s.begin("/auth/login?prompt=login&login_hint=ada%26x&audience=evil&scope=evil&state=evil&next=/page"))
	require.NoError(t, err)
	q := u.Query()
	require.Equal(t, []string{"login", "ada&x", "api", "openid profile email"}, []string{q.Get("prompt"), q.Get("login_hint"), q.Get("audience"), q.Get("scope")})
	require.NotEqual(t, "evil", q.Get("state"))
	for _, name := range []string{"state", "redirect_uri", "request_uri"} {
		_, err = New[claims](t.Context(), Config{LoginParameters: []string{name}})
		require.ErrorContains(t, err, "LoginParameters has "+name)
	}
}

// The values of an anonymous visitor stay at a sign-in; those of another user do not.
func TestAnotherUserSignsIn(t *testing.T) {
	s := newSite(t, nil)
	s.get("/keep")
	s.get("/")
	require.Contains(t, s.get("/public").body, "cart")
	s.get("/auth/login?next=/")
	require.Contains(t, s.get("/public").body, "cart", "the same user again")
	s.provider.set(func() { s.provider.user = "grace" })
	s.clock.advance(time.Minute)
	require.Equal(t, "Ada grace at /", s.get("/auth/login?next=/").body)
	require.NotContains(t, s.get("/public").body, "cart")
}

// A callback that comes again leads to where the first one led.
func TestCallbackTwice(t *testing.T) {
	s := newSite(t, nil)
	callback := s.pass(s.begin("/page?a=1"))
	before := s.jar.Clone()
	require.Equal(t, "/page?a=1", s.step(http.MethodGet, callback).Header.Get("Location"))
	require.Equal(t, "/page?a=1", s.step(http.MethodGet, callback).Header.Get("Location"), "a reload")

	// The first response is lost. The code must not be sent again.
	s.useJar(before)
	require.Equal(t, "/page?a=1", s.step(http.MethodGet, callback).Header.Get("Location"))
	require.Equal(t, "Ada ada at /", s.get("/").body)
	codeUses, _, _ := s.provider.counts()
	require.Equal(t, 1, codeUses)
}

// A callback whose flow is gone begins a new sign-in and leads to the same page. A
// browser without cookies gets an error, not a loop.
func TestCallbackWithoutAFlow(t *testing.T) {
	s := newSite(t, nil)
	callback := s.pass(s.begin("/page"))
	s.clock.advance(flowLifetime)
	require.Equal(t, "Ada ada at /page", s.get(strings.TrimPrefix(callback, s.jar.URL)).body, "expired")

	s = newSite(t, nil)
	s.client.Jar = nil
	a := s.get("/page")
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
	require.Contains(t, a.body, "cookies")

	s = newSite(t, nil)
	require.Equal(t, "Ada ada at /", s.get("/auth/callback?state=x&code=y").body, "a link to the callback")
}

// Pages of other sites are never where a sign-in leads.
func TestReturnPathsStayHere(t *testing.T) {
	s := newSite(t, nil)
	for _, page := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/a/..//evil.example", "javascript:alert(1)"} {
		a := s.get("/auth/login?next=" + url.QueryEscape(page))
		require.Equal(t, "Ada ada at /", a.body, page)
	}
	// Neither is a state parameter that somebody with the key has made.
	forged := s.auths[0].states.encode(state{ID: strings.Repeat("A", 22), Page: "//evil.example"})
	require.Equal(t, "/", s.step(http.MethodGet, "/auth/callback?code=x&state="+forged).Header.Get("Location"))
}

// A form of the provider's site brings no cookies, and still ends the sign-in.
func TestFormPost(t *testing.T) {
	s := newSite(t, func(set *setup) { set.config.Parameters = url.Values{"response_mode": {"form_post"}} })
	authorization := s.begin("/page")
	require.Contains(t, authorization, "response_mode=form_post")
	callback, err := url.Parse(s.pass(authorization))
	require.NoError(t, err)
	query := callback.Query()
	query.Set("evil", "1")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.PostForm(s.jar.URL+"/auth/callback", query)
	a := read(t, r, err)
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Empty(t, a.Header.Values("Set-Cookie"), "the visitor's cookies stay as they were")
	require.NotContains(t, a.Header.Get("Location"), "evil")
	require.Equal(t, "Ada ada at /page", s.get(a.Header.Get("Location")).body)
}

// Each check of the protocol, attacked.
func TestAttacks(t *testing.T) {
	for name, c := range map[string]struct {
		provider func(*provider)
		callback func(q url.Values)
		code     string
	}{
		"error":              {callback: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, code: "access_denied"},
		"error, made up":     {callback: func(q url.Values) { q.Set("error", "call 555 <b>now") }, code: "invalid_code"},
		"error, long":        {callback: func(q url.Values) { q.Set("error", strings.Repeat("a", 65)) }, code: "invalid_code"},
		"no code":            {callback: func(q url.Values) { q.Del("code") }, code: "no_code"},
		"another issuer":     {callback: func(q url.Values) { q.Set("iss", "https://evil.example") }, code: "issuer_mismatch"},
		"foreign code":       {callback: func(q url.Values) { q.Set("code", "other") }, code: "invalid_grant"},
		"no ID token":        {provider: func(p *provider) { p.tamper = func(a map[string]any) { delete(a, "id_token") } }, code: "no_id_token"},
		"nonce":              {provider: func(p *provider) { p.claims["nonce"] = "other" }, code: "nonce_mismatch"},
		"no nonce":           {provider: func(p *provider) { p.claims["nonce"] = nil }, code: "nonce_mismatch"},
		"iss":                {provider: func(p *provider) { p.claims["iss"] = "https://evil.example" }, code: "id_token"},
		"aud":                {provider: func(p *provider) { p.claims["aud"] = "other" }, code: "id_token"},
		"azp":                {provider: func(p *provider) { p.claims["azp"] = "other" }, code: "azp"},
		"two aud":            {provider: func(p *provider) { p.claims["aud"] = []string{"client", "other"} }, code: "azp"},
		"at_hash":            {provider: func(p *provider) { p.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, code: "at_hash"},
		"no sub":             {provider: func(p *provider) { p.claims["sub"] = nil }, code: "sub"},
		"expired":            {provider: func(p *provider) { p.claims["exp"] = time.Now().Add(-2 * time.Minute).Unix() }, code: "id_token"},
		"claims of no type":  {provider: func(p *provider) { p.claims["name"] = 1 }, code: "claims"},
		"signature":          {provider: func(p *provider) { p.tamper = func(a map[string]any) { a["id_token"] = a["id_token"].(string) + "A" } }, code: "id_token"},
		"none":               {provider: func(p *provider) { p.tamper = unsigned }, code: "id_token"},
		"provider is broken": {provider: func(p *provider) { p.fail = func(w http.ResponseWriter) bool { w.WriteHeader(502); return true } }, code: "http_502"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			if c.provider != nil {
				s.provider.set(func() { c.provider(s.provider) })
			}
			u, err := url.Parse(s.pass(s.begin("/page")))
			require.NoError(t, err)
			q := u.Query()
			if c.callback != nil {
				c.callback(q)
			}
			a := s.step(http.MethodGet, "/auth/callback?"+q.Encode())
			require.GreaterOrEqual(t, a.StatusCode, 400)
			require.Contains(t, s.get("/public").body, " false ", "the visitor is not signed in")
			var failed *SignInError
			for _, e := range s.events {
				require.ErrorAs(t, e.Err, &failed)
				require.NotContains(t, e.Err.Error(), "eyJ")
				require.NotContains(t, e.Err.Error(), "refresh")
			}
			require.NotNil(t, failed)
			require.Equal(t, c.code, failed.Code)
		})
	}
}

// unsigned replaces the ID token by one with the algorithm "none".
func unsigned(a map[string]any) {
	parts := strings.Split(a["id_token"].(string), ".")
	a["id_token"] = "eyJhbGciOiJub25lIn0." + parts[1] + "."
}

// A visitor's callback does not sign another browser in (login CSRF).
func TestCallbackOfAnotherBrowser(t *testing.T) {
	s := newSite(t, nil)
	callback := s.pass(s.begin("/page"))
	s.useJar(&sessiontest.Jar{URL: s.jar.URL, Clock: s.clock.now})
	s.begin("/elsewhere") // the victim has a sign-in under way, too
	a := s.step(http.MethodGet, callback)
	require.Contains(t, a.Header.Get("Location"), "/authorize?", "a sign-in of the victim's own begins")
	require.Contains(t, s.get("/public").body, " false ")
	codeUses, _, _ := s.provider.counts()
	require.Zero(t, codeUses)
}

// ID tokens may have expired a minute ago, and may come from a clock that is ahead.
func TestClocksDiffer(t *testing.T) {
	for _, off := range []time.Duration{-time.Minute, time.Minute} {
		s := newSite(t, nil)
		s.provider.set(func() {
			s.provider.claims["iat"] = time.Now().Add(off).Unix()
			s.provider.claims["nbf"] = time.Now().Add(off).Unix()
			s.provider.claims["exp"] = time.Now().Add(off + 30*time.Second).Unix()
		})
		require.Equal(t, "Ada ada at /", s.get("/").body)
	}
}
