package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/browser"
)

// A jarCase is a list of Set-Cookie lines. A page requests each line in a
// separate response. Each case replaces app.test by a site of its own.
type jarCase struct {
	name  string
	host  string // "": a.app.test over https; "plain": the same over http; otherwise a host over http
	lines []string
	// differs names the browser that is known to behave differently.
	differs string
}

func jarCases() []jarCase {
	long := strings.Repeat("p", 1025)
	sized := func(name string, n int) string { return name + "=" + strings.Repeat("v", n-len(name)) }
	var many []string
	for i := range 181 {
		many = append(many, fmt.Sprintf("c%03d=v; Path=/; Secure", i))
	}
	return []jarCase{
		{name: "4096 bytes", lines: []string{sized("n", 4096) + "; Path=/; x=" + long}},
		{name: "4097 bytes", lines: []string{sized("n", 4097)}},
		{name: "long path", lines: []string{"a=b; Path=/" + long}},
		{name: "long domain", lines: []string{"a=b; Path=/; Domain=" + long}},
		{name: "no name", differs: "firefox", lines: []string{"v; Path=/", "=w; Path=/"}},
		{name: "spaces", lines: []string{" a = b c ;Path=/; SECURE ;httponly"}},
		{name: "empty value", lines: []string{"a=; Path=/"}},
		{name: "Path of elsewhere", lines: []string{"a=b; Path=/elsewhere"}},
		{name: "invalid path", lines: []string{"a=b; Path=here"}},
		{name: "last Path wins", lines: []string{"a=b; Path=/elsewhere; Path=/"}},
		{name: "longer path first", lines: []string{"a=1; Path=/", "a=2; Path=/page"}},
		{name: "set again, same value", lines: []string{"a=1; Path=/", "b=1; Path=/", "a=1; Path=/"}},
		{name: "deleted by Max-Age", lines: []string{"a=1; Path=/", "a=; Path=/; Max-Age=0"}},
		{name: "deleted by negative Max-Age", lines: []string{"a=1; Path=/", "a=; Path=/; Max-Age=-1"}},
		{name: "Max-Age over Expires", lines: []string{"a=1; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}},
		{name: "Expires under Max-Age=0", lines: []string{"a=1; Path=/; Max-Age=0; Expires=Wed, 01 Jan 2031 00:00:00 GMT"}},
		{name: "Max-Age that is not a number", lines: []string{"a=1; Path=/", "a=2; Path=/; Max-Age=0s"}},
		{name: "host and domain twins", lines: []string{"a=1; Path=/", "a=2; Path=/; Domain=a.app.test"}},
		{name: "deletion of one twin", lines: []string{"a=1; Path=/", "a=2; Path=/; Domain=a.app.test", "a=; Path=/; Max-Age=0"}},
		{name: "parent domain", lines: []string{"a=1; Path=/; Domain=.App.test"}},
		{name: "sibling domain", lines: []string{"a=1; Path=/; Domain=b.app.test"}},
		{name: "top-level domain", lines: []string{"a=1; Path=/; Domain=test"}},
		{name: "prefixes", lines: []string{
			"__Host-1=v; Secure; Path=/", "__Host-2=v; Secure; Path=/page", "__Host-3=v; Path=/", "__Host-4=v; Secure; Path=/; Domain=a.app.test",
			"__host-5=v; Path=/", "__Secure-6=v; Path=/; Secure", "__Secure-7=v; Path=/", "__SECURE-8=v; Path=/",
			"__Http-9=v; Path=/; Secure; HttpOnly", "__Http-10=v; Path=/; Secure", "__http-11=v; Path=/; HttpOnly",
			"__Host-Http-12=v; Path=/; Secure; HttpOnly", "__Host-Http-13=v; Path=/; Secure", "__host-http-14=v; Secure; HttpOnly; Path=/page",
			"__Hostile=v; Path=/", "=__Host-15=v; Secure; Path=/",
		}},
		{name: "__Host- without Path", differs: "firefox", lines: []string{"__Host-1=v; Secure"}},
		{name: "181 cookies", lines: many},
		{name: "Partitioned over 10,240", differs: "firefox", lines: []string{
			sized("a", 4000) + "; Path=/; Secure; Partitioned", sized("b", 4000) + "; Path=/; Secure; Partitioned",
			sized("c", 4000) + "; Path=/; Secure; Partitioned",
		}},
		{name: "Partitioned without Secure", lines: []string{"a=1; Path=/; Partitioned"}},
		{name: "None without Secure", lines: []string{"a=1; Path=/; SameSite=None"}},
		{name: "loopback address", host: "127.0.0.1", lines: []string{
			"__Host-1=v; Secure; Path=/; HttpOnly; SameSite=Lax", "a=1; Path=/; Secure", "b=1; Path=/; Domain=127.0.0.1", "c=1; Path=/; SameSite=None; Secure",
		}},
		{name: "localhost", host: "localhost", lines: []string{"__Host-1=v; Secure; Path=/", "a=1; Path=/; Secure; Partitioned"}},
		{name: "plain http elsewhere", host: "plain", lines: []string{"a=1; Path=/; Secure", "__Host-1=v; Secure; Path=/", "b=1; Path=/"}},
	}
}

// TestJarKeepsWhatBrowsersKeep compares sessiontest.Jar with both browsers:
// after the same Set-Cookie lines they must send the same Cookie header.
func TestJarKeepsWhatBrowsersKeep(t *testing.T) {
	servers := newLineServers(t)
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		for i, c := range jarCases() {
			t.Run(c.name, func(t *testing.T) {
				servers.set(c.lines, browser.Site(i))
				page := servers.address(c.host, browser.Site(i)) + "/page"
				jar := &sessiontest.Jar{URL: page}
				for _, line := range servers.lines {
					jar.Set(line)
				}
				got := servers.drive(t, tab, page, len(c.lines))
				if c.differs == b.Name() {
					require.NotEqual(t, jar.Header(""), got, "the browser now behaves like the Jar; update the documentation of the Jar")
					return
				}
				require.Equal(t, jar.Header(""), got)
			})
		}
	})
}

// lineServers serve the lines of a list, one per response, over https and http.
type lineServers struct {
	plain, secure *httptest.Server
	lines         []string
}

func newLineServers(t *testing.T) *lineServers {
	s := &lineServers{}
	h := http.HandlerFunc(s.answer)
	s.secure = browser.NewTLSServer(t, h)
	s.plain = browser.NewServer(t, h)
	return s
}

// set sets the lines of a case, with app.test replaced by the case's site.
func (s *lineServers) set(lines []string, site string) {
	s.lines = nil
	for _, line := range lines {
		s.lines = append(s.lines, strings.NewReplacer("app.test", site, "App.test", "S"+site[1:]).Replace(line))
	}
}

func (s *lineServers) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path != "/page" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch r.URL.RawQuery {
	case "":
		w.Write([]byte("page"))
	case "read":
		w.Write([]byte(strings.Join(r.Header.Values("Cookie"), "; ")))
	default:
		var i int
		fmt.Sscan(r.URL.RawQuery, &i)
		w.Header()["Set-Cookie"] = []string{s.lines[i]}
	}
}

func (s *lineServers) address(host, site string) string {
	switch host {
	case "":
		return browser.At(s.secure, "a."+site)
	case "plain":
		return browser.At(s.plain, "a."+site)
	}
	return browser.At(s.plain, host)
}

// drive makes the page request every line, and returns the resulting Cookie
// header.
func (s *lineServers) drive(t *testing.T, tab browser.Tab, page string, n int) string {
	t.Helper()
	require.NoError(t, tab.Go(page))
	var header string
	require.NoError(t, tab.Eval(fmt.Sprintf(`(async () => {
		for (let i = 0; i < %d; i++) await fetch('/page?' + i)
		return (await fetch('/page?read')).text()
	})()`, n), &header))
	return header
}
