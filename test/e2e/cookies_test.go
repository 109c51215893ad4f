package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/browser"
)

// kinds are four sessions on one host, with one ring.
var kinds = map[string]middleware.Config{
	"host":  {},
	"admin": {Cookie: middleware.Cookie{Path: "/admin", Name: "__Secure-admin", SameSite: http.SameSiteStrictMode}},
	"site":  {Cookie: middleware.Cookie{Domain: "app.test", Name: "__Secure-site"}},
	"frame": {Cookie: middleware.Cookie{Name: "__Host-frame", SameSite: http.SameSiteNoneMode, Partitioned: true, Priority: "High"}},
}

// newSideBySide serves /in?of=KIND&name= and /out?of=KIND. Every other page
// shows the visitor's name in each of the sessions, and sends it to the page's
// parent.
func newSideBySide(t *testing.T) (at func(host string) string) {
	t.Helper()
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	all := map[string]*middleware.Sessions{}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/in"):
			name.Set(all[r.FormValue("of")].From(r.Context()), r.FormValue("name"))
		case strings.HasSuffix(path, "/out"):
			all[r.FormValue("of")].From(r.Context()).Destroy()
		}
		var seen []string
		for _, kind := range []string{"host", "admin", "site", "frame"} {
			who, _ := name.Get(all[kind].From(r.Context()))
			seen = append(seen, who)
		}
		page(w, strings.Join(seen, ",")+"<script>parent.postMessage(document.querySelector('main').firstChild.data, '*')</script>")
	})
	for kind, config := range kinds {
		config.Keys = ring
		all[kind], err = middleware.New(config)
		require.NoError(t, err)
		handler = all[kind].Handler(handler)
	}
	server := browser.NewTLSServer(t, handler)
	return func(host string) string { return browser.At(server, host) }
}

// whoAt returns the names that a page shows, in the order host, admin, site,
// frame.
func whoAt(t *testing.T, tab browser.Tab, address string) string {
	t.Helper()
	require.NoError(t, tab.Go(address))
	var seen string
	require.NoError(t, tab.Eval("document.querySelector('main').firstChild.data", &seen))
	return seen
}

// Sessions with different names, paths and domains on one host are independent.
// Browsers send each of them where its attributes allow.
func TestSessionsSideBySideInABrowser(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		at := newSideBySide(t)
		a, sibling := at("a.app.test"), at("b.app.test")
		tab := browser.NewTab(t, b)
		for kind := range kinds {
			require.NoError(t, tab.Go(a+"/admin/in?of="+kind+"&name="+kind+"-user"))
		}
		require.Equal(t, "host-user,admin-user,site-user,frame-user", whoAt(t, tab, a+"/admin/"))
		require.Equal(t, "host-user,,site-user,frame-user", whoAt(t, tab, a+"/"), "the path")
		require.Equal(t, ",,site-user,", whoAt(t, tab, sibling+"/admin/"), "the domain")
		require.Equal(t, ",,,", whoAt(t, tab, at("other.test")+"/"))

		cookies, err := tab.Cookies(a + "/admin/")
		require.NoError(t, err)
		got := map[string]string{}
		for _, c := range cookies {
			require.True(t, c.Secure && c.HttpOnly)
			base, _, _ := strings.Cut(c.Name, ".")
			got[base] = fmt.Sprint(c.Domain, " ", c.Path, " ", c.SameSite)
		}
		require.Equal(t, "a.app.test / lax", got["__Host-session"])
		require.Equal(t, "a.app.test /admin strict", got["__Secure-admin"])
		require.Equal(t, ".app.test / lax", got["__Secure-site"])

		require.NoError(t, tab.Go(sibling+"/out?of=site"), "the logout at a sibling domain")
		require.NoError(t, tab.Go(a+"/out?of=host"))
		require.Equal(t, ",admin-user,,frame-user", whoAt(t, tab, a+"/admin/"))
	})
}

// In a frame on another site, browsers send only the session that is configured
// for it. At the site itself that session does not exist.
func TestPartitionedSessionInAFrame(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		at := newSideBySide(t)
		a := at("a.app.test")
		top := browser.At(browser.NewTLSServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			page(w, "top")
		})), "other.test") + "/"
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(a+"/in?of=host&name=me"))
		framed := func(path string) (seen string) {
			require.NoError(t, tab.Eval(fmt.Sprintf(`new Promise(done => {
				addEventListener('message', e => done(e.data), {once: true})
				const f = document.createElement('iframe')
				f.src = %q
				document.body.append(f)
			})`, a+path), &seen))
			return seen
		}
		require.NoError(t, tab.Go(top))
		require.Equal(t, ",,,", framed("/"), "Lax cookies are not sent into a frame")
		require.Equal(t, ",,,guest", framed("/in?of=frame&name=guest"))
		require.Equal(t, ",,,guest", framed("/"))
		require.Equal(t, "me,,,", whoAt(t, tab, a+"/"), "the site itself is another partition")
		require.NoError(t, tab.Go(top))
		require.Equal(t, ",,,guest", framed("/"))
		require.Equal(t, ",,,", framed("/out?of=frame"))
		require.Equal(t, ",,,", framed("/"))
	})
}
