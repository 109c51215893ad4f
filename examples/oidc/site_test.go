package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/oidc/provider"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/sessiontest"
)

// program is the site and its provider, each behind a real server.
type program struct {
	t        *testing.T
	url      string
	provider *provider.Provider
	issuer   string
}

// late is a handler that is known only after its server has started.
type late struct {
	handler http.Handler
}

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.handler.ServeHTTP(w, r) }

func start(t *testing.T, lifetime time.Duration, size int) *program {
	siteHandler, providerHandler := &late{}, &late{}
	siteServer, providerServer := httptest.NewServer(siteHandler), httptest.NewServer(providerHandler)
	t.Cleanup(siteServer.Close)
	t.Cleanup(providerServer.Close)
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)

	c := config{keys: ring, store: store, platform: middleware.APIGateway}
	c.Issuer, c.ClientID, c.ClientSecret, c.RedirectURL = providerServer.URL, "demo", "secret", siteServer.URL+"/auth/callback"
	c.demo, err = provider.New(provider.Config{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Redirect: c.RedirectURL,
		BackChannel: siteServer.URL + "/auth/backchannel-logout", Lifetime: lifetime, TokenBytes: size})
	require.NoError(t, err)
	providerHandler.handler = c.demo
	siteHandler.handler, err = newSite(context.Background(), c)
	require.NoError(t, err)
	return &program{t, siteServer.URL, c.demo, c.Issuer}
}

// visitor is a browser. It has cookies of the site only, because the provider sets
// none.
type visitor struct {
	*program
	jar    *sessiontest.Jar
	client *http.Client
}

type siteJar struct{ *sessiontest.Jar }

func (j siteJar) Cookies(u *url.URL) []*http.Cookie {
	if !strings.HasPrefix(u.String(), j.URL) {
		return nil
	}
	return j.Jar.Cookies(u)
}

func (p *program) visitor() *visitor {
	jar := &sessiontest.Jar{URL: p.url}
	return &visitor{p, jar, &http.Client{Jar: siteJar{jar}}}
}

func (v *visitor) do(r *http.Request) (status int, body, address string) {
	v.t.Helper()
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", "Firefox")
	response, err := v.client.Do(r)
	require.NoError(v.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return response.StatusCode, string(text), response.Request.URL.String()
}

func (v *visitor) get(path string) (status int, body, address string) {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	require.NoError(v.t, err)
	return v.do(r)
}

func (v *visitor) post(address string, form url.Values) (status int, body, arrived string) {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	require.NoError(v.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

// signIn opens a page for members and presses the provider's button.
func (v *visitor) signIn(page, user string) {
	v.t.Helper()
	_, body, address := v.get(page)
	require.True(v.t, strings.HasPrefix(address, v.issuer+"/authorize?"), address)
	require.Contains(v.t, body, "Sign in as Ada")
	status, _, arrived := v.post(address, url.Values{"user": {user}})
	require.Equal(v.t, 200, status)
	require.Equal(v.t, v.url+page, arrived, "the visitor comes back to the page")
}

func TestSignIn(t *testing.T) {
	v := start(t, time.Hour, 2000).visitor()
	_, body, _ := v.get("/")
	require.Contains(t, body, "not signed in")
	v.signIn("/account", "ada")
	_, body, _ = v.get("/account")
	require.Contains(t, body, "ada@example.com")
	_, body, _ = v.get("/api")
	require.Contains(t, body, `"email":"ada@example.com"`)
	require.Equal(t, provider.Counts{Codes: 1}, v.provider.Counts())
}

// Thirty parallel requests at the end of the token refresh it once, again and again.
func TestBurst(t *testing.T) {
	v := start(t, time.Second, 2000).visitor()
	v.signIn("/burst", "ada")
	for round := range 3 {
		time.Sleep(1100 * time.Millisecond) // the token's own clock is the provider's
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				status, body, _ := v.get("/api")
				require.Equal(t, 200, status, body)
			})
		}
		wg.Wait()
		counts := v.provider.Counts()
		require.Zero(t, counts.Reused)
		require.GreaterOrEqual(t, counts.Refreshes, round+1)
	}
}

// The page names the sizes, and where the session is.
func TestTokensPage(t *testing.T) {
	for size, want := range map[int]string{2000: "head", 9000: "in the store"} {
		v := start(t, time.Hour, size).visitor()
		v.signIn("/tokens", "ada")
		_, body, _ := v.get("/tokens")
		require.Contains(t, body, want)
		require.Regexp(t, regexp.MustCompile(`access token</td><td>\d{4}`), body)
	}
}

// A sign-out ends the session here and at the provider, and comes back.
func TestSignOut(t *testing.T) {
	v := start(t, time.Hour, 2000).visitor()
	v.signIn("/account", "ada")
	old := v.jar.Header("")
	status, body, arrived := v.post(v.url+"/auth/logout", nil)
	require.Equal(t, 200, status)
	require.Equal(t, v.url+"/", arrived)
	require.Contains(t, body, "not signed in")
	require.Contains(t, v.open("/", old), "not signed in", "a copy of the cookies")
}

// open sends a request with the given cookies.
func (p *program) open(path, cookies string) string {
	r, err := http.NewRequest(http.MethodGet, p.url+path, nil)
	require.NoError(p.t, err)
	r.Header.Set("Cookie", cookies)
	response, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	return string(body)
}

var endButton = regexp.MustCompile(`name="id" value="([^"]+)"`)

// A user ends one other session, and then all.
func TestDevices(t *testing.T) {
	p := start(t, time.Hour, 2000)
	laptop, phone, grace := p.visitor(), p.visitor(), p.visitor()
	laptop.signIn("/account", "ada")
	phone.signIn("/account", "ada")
	grace.signIn("/account", "grace")
	_, body, _ := laptop.get("/account")
	ids := endButton.FindAllStringSubmatch(body, -1)
	require.Len(t, ids, 1, "the other one")
	status, _, _ := grace.post(p.url+"/devices/end", url.Values{"id": {ids[0][1]}})
	require.Equal(t, 404, status, "not of another user")
	status, _, _ = laptop.post(p.url+"/devices/end", url.Values{"id": {ids[0][1]}})
	require.Equal(t, 200, status)
	require.Contains(t, p.open("/", phone.jar.Header("")), "not signed in")

	phone.signIn("/account", "ada")
	_, _, arrived := laptop.post(p.url+"/everywhere", nil)
	require.Equal(t, p.url+"/", arrived)
	for _, v := range []*visitor{laptop, phone} {
		require.Contains(t, p.open("/", v.jar.Header("")), "not signed in")
	}
	require.Contains(t, p.open("/", grace.jar.Header("")), "Grace Hopper")
}

// A session that ends at the provider ends here.
func TestEndedByTheProvider(t *testing.T) {
	p := start(t, time.Hour, 2000)
	v, grace := p.visitor(), p.visitor()
	v.signIn("/account", "ada")
	grace.signIn("/account", "grace")
	require.NoError(t, p.provider.EndSessions("", "ada"))
	_, body, _ := v.get("/")
	require.Contains(t, body, "not signed in")
	_, body, _ = grace.get("/")
	require.Contains(t, body, "Grace Hopper")
}

// A form of another site cannot sign the visitor out.
func TestOtherSites(t *testing.T) {
	v := start(t, time.Hour, 2000).visitor()
	v.signIn("/account", "ada")
	for _, path := range []string{"/auth/logout", "/everywhere"} {
		r, err := http.NewRequest(http.MethodPost, v.url+path, nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		status, _, _ := v.do(r)
		require.Equal(t, http.StatusForbidden, status)
	}
	_, body, _ := v.get("/")
	require.Contains(t, body, "Ada Lovelace")
}
