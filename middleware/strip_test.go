package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server behind a proxy gets all other cookies, in their order, and no piece of
// a session cookie.
func TestStripCookiesKeepsTheSessionFromTheUpstream(t *testing.T) {
	s := newSite(t, app)
	s.get("/set?user=ada")
	var got []string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header["Cookie"] }))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		s.sessions.StripCookies(r.Out)
	}})
	defer proxy.Close()
	for cookies, want := range map[string][]string{
		"a=1; " + s.header() + ";b=2": {"a=1; b=2"},
		s.header():                    nil,
		"a=1; __Host-session.aaaaaaaaaa.3=x; __Host-sessions=y; __Host-session=z": {"a=1; __Host-sessions=y; __Host-session=z"},
	} {
		r, err := http.NewRequest(http.MethodGet, proxy.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", cookies)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, want, got)
	}
}
