package oidc_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
)

// A visitor is a browser.
type visitor struct {
	*site
	jar    *sessiontest.Jar // of the program
	client *http.Client
}

// transport has enough idle connections for a burst.
var transport = &http.Transport{MaxIdleConnsPerHost: 256}

// visitor returns a new browser without cookies.
func (s *site) visitor() *visitor {
	s.t.Helper()
	other, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	return s.browser(&sessiontest.Jar{URL: s.front.URL, Clock: s.clock.now}, other)
}

// browser returns a browser with cookies of the program and of the provider.
func (s *site) browser(jar *sessiontest.Jar, other http.CookieJar) *visitor {
	return &visitor{s, jar, &http.Client{Transport: transport, Timeout: patience, Jar: split{jar, other}}}
}

// copy returns another browser with the same cookies of the program, as after a theft.
func (v *visitor) copy() *visitor { return v.site.browser(v.jar.Clone(), v.client.Jar.(split).other) }

// split is a jar for two sites.
type split struct {
	*sessiontest.Jar
	other http.CookieJar
}

func (j split) of(u *url.URL) http.CookieJar {
	if strings.HasPrefix(u.String(), j.URL) {
		return j.Jar
	}
	return j.other
}

func (j split) Cookies(u *url.URL) []*http.Cookie       { return j.of(u).Cookies(u) }
func (j split) SetCookies(u *url.URL, c []*http.Cookie) { j.of(u).SetCookies(u, c) }

type answer struct {
	*http.Response
	body string
}

func read(t *testing.T, r *http.Response, err error) answer {
	t.Helper()
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return answer{r, string(body)}
}

// address returns the URL of a page of the program, or a URL as it is.
func (v *visitor) address(page string) string {
	if strings.HasPrefix(page, "/") {
		return v.front.URL + page
	}
	return page
}

func (v *visitor) request(method, page string, form url.Values) *http.Request {
	v.t.Helper()
	r, err := http.NewRequest(method, v.address(page), strings.NewReader(form.Encode()))
	require.NoError(v.t, err)
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// get follows redirects like a browser that asks for a page.
func (v *visitor) get(page string) answer {
	v.t.Helper()
	response, err := v.client.Do(v.request(http.MethodGet, page, nil))
	return read(v.t, response, err)
}

// step sends one request and follows no redirect.
func (v *visitor) step(method, page string, form url.Values) answer {
	v.t.Helper()
	client := *v.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(v.request(method, page, form))
	return read(v.t, response, err)
}

// begin begins a sign-in and returns the provider's address.
func (v *visitor) begin(page string) (authorization string) {
	v.t.Helper()
	authorization = v.step(http.MethodGet, "/auth/login?next="+url.QueryEscape(page), nil).Header.Get("Location")
	require.True(v.t, strings.HasPrefix(authorization, v.URL), authorization)
	return authorization
}

// pass signs in at the provider and returns the callback's address.
func (v *visitor) pass(authorization string) (callback string) {
	v.t.Helper()
	for callback = authorization; !strings.HasPrefix(callback, v.front.URL); {
		a := v.step(http.MethodGet, callback, nil)
		u, err := a.Request.URL.Parse(a.Header.Get("Location"))
		require.NoError(v.t, err)
		require.NotEmpty(v.t, a.Header.Get("Location"), "%d %s", a.StatusCode, a.body)
		callback = u.String()
	}
	return callback
}

// signIn signs a user in.
func (v *visitor) signIn() {
	v.t.Helper()
	require.Contains(v.t, v.get("/page").body, "Ada ada at /page")
}

// token returns the access token, which must be valid at the provider.
func (v *visitor) token() string {
	v.t.Helper()
	a := v.step(http.MethodGet, "/token", nil)
	require.Equal(v.t, http.StatusOK, a.StatusCode, a.body)
	v.requireValid(a.body)
	return a.body
}

func (v *visitor) requireValid(access string) {
	v.t.Helper()
	status, sub := v.UserInfo(access)
	require.Equal(v.t, http.StatusOK, status, "the access token at the provider")
	require.Equal(v.t, "ada", sub)
}

// signedIn reports whether the program takes the visitor for signed in. It refreshes
// nothing.
func (v *visitor) signedIn() bool {
	v.t.Helper()
	a := v.step(http.MethodGet, "/public", nil)
	require.Equal(v.t, http.StatusOK, a.StatusCode, a.body)
	return strings.Contains(a.body, " true ")
}

// burst sends n requests at once, all with the cookies that the browser has now. The
// responses reach the browser in the order in which they come.
func (v *visitor) burst(n int, page string) []answer {
	v.t.Helper()
	header := v.jar.Header("")
	answers := make([]answer, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		r := v.request(http.MethodGet, page, nil)
		r.Header.Set("Cookie", header)
		wg.Go(func() { answers[i], errs[i] = v.send(r) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(v.t, err)
	}
	return answers
}

// send sends a request without the jar's cookies, and puts those of the response into
// the jar.
func (v *visitor) send(r *http.Request) (answer, error) {
	response, err := transport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	for _, line := range response.Header["Set-Cookie"] {
		v.jar.Set(line)
	}
	body, err := io.ReadAll(response.Body)
	return answer{response, string(body)}, err
}
