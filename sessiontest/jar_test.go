package sessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clock is a time that only a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

func newJar(page string) (*sessiontest.Jar, *clock) {
	c := &clock{now: noon}
	return &sessiontest.Jar{URL: page, Clock: c.Now}, c
}

// sized is a cookie whose name and value have n bytes together.
func sized(name string, n int) string { return name + "=" + strings.Repeat("v", n-len(name)) }

func TestSetKeepsWhatBrowsersKeep(t *testing.T) {
	const https, local, plain = "https://a.app.test/dir/page", "http://127.0.0.1:8080/dir/page", "http://a.app.test/dir/page"
	long := strings.Repeat("p", 1025)
	for _, test := range []struct {
		name, page, line string
		keep             bool
	}{
		{"4096 bytes", https, sized("name", 4096), true},
		{"4097 bytes", https, sized("name", 4097), false},
		{"4096 and long attributes", https, sized("name", 4096) + "; Max-Age=60; Secure; x=" + strings.Repeat("x", 1000), true},
		{"empty", https, "", false},
		{"empty pair", https, "=; Secure", false},
		{"no name", https, "=v", true},
		{"control character", https, "a=b\x01c", false},
		{"unknown attributes", https, "a=b; Priority=High; Foo=1", true},
		{"path too long is ignored", https, "a=b; Path=/" + long, true},
		{"domain too long is ignored", https, "a=b; Domain=" + long, true},

		{"Secure over https", https, "a=b; Secure", true},
		{"Secure on 127.0.0.1", local, "a=b; Secure", true},
		{"Secure on localhost", "http://localhost:8080/", "a=b; Secure", true},
		{"Secure over plain http", plain, "a=b; Secure", false},
		{"SameSite=None with Secure", https, "a=b; SameSite=None; Secure", true},
		{"SameSite=None without Secure", https, "a=b; SameSite=None", false},
		{"Partitioned with Secure", https, "a=b; Partitioned; Secure; Path=/", true},
		{"Partitioned without Secure", https, "a=b; Partitioned", false},

		{"own domain", https, "a=b; Domain=a.app.test", true},
		{"parent domain", https, "a=b; Domain=.app.test", true},
		{"parent domain in capitals", https, "a=b; Domain=APP.TEST", true},
		{"sibling domain", https, "a=b; Domain=b.app.test", false},
		{"deeper domain", https, "a=b; Domain=x.a.app.test", false},
		{"top-level domain", https, "a=b; Domain=test", false},
		{"part of a label", https, "a=b; Domain=pp.test", false},

		{"__Host-", https, "__Host-a=b; Secure; Path=/", true},
		{"__Host- on 127.0.0.1", local, "__Host-a=b; Secure; Path=/; HttpOnly; SameSite=Lax", true},
		{"__Host- without Path", https, "__Host-a=b; Secure", false},
		{"__Host- with another Path", https, "__Host-a=b; Secure; Path=/dir", false},
		{"__Host- without Secure", https, "__Host-a=b; Path=/", false},
		{"__Host- with Domain", https, "__Host-a=b; Secure; Path=/; Domain=a.app.test", false},
		{"__host- in small letters", https, "__host-a=b; Path=/", false},
		{"__Secure-", https, "__Secure-a=b; Secure; Domain=app.test", true},
		{"__Secure- without Secure", https, "__Secure-a=b", false},
		{"__SECURE- without Secure", https, "__SECURE-a=b", false},
		{"__Http-", https, "__Http-a=b; Secure; HttpOnly", true},
		{"__Http- without HttpOnly", https, "__Http-a=b; Secure", false},
		{"__Http- without Secure", https, "__Http-a=b; HttpOnly", false},
		{"__Host-Http-", https, "__Host-Http-a=b; Secure; HttpOnly; Path=/", true},
		{"__Host-Http- without HttpOnly", https, "__Host-Http-a=b; Secure; Path=/", false},
		{"__host-http- without Path", https, "__host-http-a=b; Secure; HttpOnly", false},
		{"a prefix hidden in a nameless cookie", https, "=__Host-a=b; Secure; Path=/", false},
		{"__Hostile is no prefix", https, "__Hostile=b", true},

		{"Max-Age=0", https, "a=b; Max-Age=0", false},
		{"Max-Age=-1", https, "a=b; Max-Age=-1", false},
		{"Max-Age that is no number", https, "a=b; Max-Age=1h", true},
		{"Expires in the past", https, "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false},
		{"Max-Age over Expires", https, "a=b; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true},
		{"Expires under Max-Age=0", https, "a=b; Expires=Wed, 01 Jan 2031 00:00:00 GMT; Max-Age=0", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			jar, _ := newJar(test.page)
			jar.Set(test.line)
			require.Equal(t, test.keep, len(jar.All()) == 1, "cookies: %v", jar.Names())
		})
	}
}

func TestSetReadsAttributes(t *testing.T) {
	jar, _ := newJar("https://a.app.test/dir/page")
	require.True(t, jar.Set(" a = b c ;Path=/x; secure ;HTTPONLY; SameSite=strict; Max-Age=60; Path=/y"))
	got := jar.All()[0]
	require.Equal(t, "a", got.Name)
	require.Equal(t, "b c", got.Value)
	require.Equal(t, "/y", got.Path, "the last Path wins")
	require.Equal(t, "a.app.test", got.Domain)
	require.True(t, got.HostOnly && got.Secure && got.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, got.SameSite)
	require.Equal(t, noon.Add(time.Minute), got.Expires)

	require.True(t, jar.Set("plain=1"))
	got = jar.All()[1]
	require.Equal(t, "/dir", got.Path, "the directory of the page")
	require.Equal(t, http.SameSiteLaxMode, got.SameSite)
	require.True(t, got.Expires.IsZero())
}

func TestLifeIsCappedAt400Days(t *testing.T) {
	for name, test := range map[string]struct {
		attribute string
		want      time.Duration
	}{
		"ten years":         {"Max-Age=315360000", sessiontest.MaxAge},
		"more than int64":   {"Max-Age=99999999999999999999", sessiontest.MaxAge},
		"Expires in 2037":   {"Expires=Thu, 31 Dec 2037 23:59:59 GMT", sessiontest.MaxAge},
		"a year is shorter": {"Max-Age=31536000", 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			jar, clock := newJar("")
			jar.Set("a=b; " + test.attribute)
			require.Equal(t, noon.Add(test.want), jar.All()[0].Expires)
			clock.advance(test.want - time.Second)
			require.Equal(t, "a=b", jar.Header(""))
			clock.advance(time.Second)
			require.Empty(t, jar.Header(""))
		})
	}
}

func TestHeaderGoesWhereTheCookieBelongs(t *testing.T) {
	jar, _ := newJar("https://a.app.test/dir/page")
	jar.Set("host=1; Path=/; Secure")
	jar.Set("site=1; Path=/; Domain=app.test")
	jar.Set("deep=1; Path=/dir/sub")
	for page, want := range map[string]string{
		"https://a.app.test/":            "host=1; site=1",
		"https://A.APP.TEST:444/":        "host=1; site=1",
		"http://a.app.test/":             "site=1",
		"https://b.app.test/":            "site=1",
		"https://x.a.app.test/":          "site=1",
		"https://app.test/":              "site=1",
		"https://a.app.test/dir/sub":     "deep=1; host=1; site=1",
		"https://a.app.test/dir/sub/x":   "deep=1; host=1; site=1",
		"https://a.app.test/dir/subject": "host=1; site=1",
		"https://other.test/":            "",
		"https://notapp.test/":           "",
	} {
		require.Equal(t, want, jar.Header(page), page)
	}
}

func TestPortsShareCookies(t *testing.T) {
	jar, _ := newJar("http://127.0.0.1:8080/")
	require.True(t, jar.Set("__Host-a=b; Secure; Path=/"))
	require.Equal(t, "__Host-a=b", jar.Header("http://127.0.0.1:9090/"))
	require.Empty(t, jar.Header("http://localhost:8080/"))
}

func TestTwinsAreBothKept(t *testing.T) {
	jar, _ := newJar("https://app.test/")
	jar.Set("a=host; Path=/; Secure")
	jar.Set("a=domain; Path=/; Domain=app.test; Secure")
	jar.Set("a=deep; Path=/x; Secure")
	jar.Set("a=partitioned; Path=/; Secure; Partitioned")
	require.Equal(t, "a=host; a=domain; a=partitioned", jar.Header(""))
	require.Equal(t, "a=deep; a=host; a=domain; a=partitioned", jar.Header("https://app.test/x"))

	jar.Set("a=; Path=/; Max-Age=0; Secure")
	require.Equal(t, "a=domain; a=partitioned", jar.Header(""), "a deletion hits its own kind only")
	require.Equal(t, []string{"a", "a", "a"}, jar.Names())
}

func TestSettingAgainReplaces(t *testing.T) {
	jar, clock := newJar("")
	jar.Set("a=1")
	jar.Set("b=1")
	clock.advance(time.Second)
	jar.Set("a=1; Max-Age=60")
	require.Equal(t, "a=1; b=1", jar.Header(""), "the same value keeps its place")
	jar.Set("a=2")
	require.Equal(t, "b=1; a=2", jar.Header(""))
	require.True(t, jar.All()[1].Expires.IsZero(), "the new cookie has none of the old one's attributes")
}

func TestPlainPageLeavesSecureCookiesAlone(t *testing.T) {
	jar, _ := newJar("https://app.test/")
	jar.Set("a=secure; Path=/; Secure")
	require.False(t, jar.SetFrom("http://app.test/", "a=plain; Path=/"))
	require.False(t, jar.SetFrom("http://x.app.test/", "a=plain; Path=/; Domain=app.test"))
	require.False(t, jar.SetFrom("http://app.test/", "a=; Path=/; Max-Age=0"))
	require.True(t, jar.SetFrom("http://app.test/", "b=plain; Path=/"))
	require.Equal(t, "a=secure; b=plain", jar.Header(""))
}

func TestSiteIsPurged(t *testing.T) {
	for n, left := range map[int]int{180: 180, 181: 150, 200: 169, 250: 157} {
		jar, _ := newJar("")
		for i := range n {
			jar.Set(fmt.Sprintf("c%03d=v; Secure", i))
		}
		require.Len(t, jar.Names(), left, "after %d", n)
		if n == 181 {
			require.Equal(t, "c031", jar.Names()[0], "the 31 oldest are gone")
		}
	}
}

func TestPurgeSparesSecureAndRecentlyUsed(t *testing.T) {
	jar, clock := newJar("https://a.app.test/")
	jar.Set("used=1; Path=/used; Secure")
	jar.Set("unused=1; Path=/unused; Secure")
	for i := range 100 {
		jar.Set(fmt.Sprintf("s%03d=v; Secure; Path=/s", i))
	}
	clock.advance(2 * time.Minute)
	require.Contains(t, jar.Header("https://a.app.test/used"), "used=1")
	for i := range 20 {
		jar.SetFrom("https://b.app.test/", fmt.Sprintf("plain%03d=v", i))
	}
	for i := range 59 {
		jar.SetFrom("https://c.app.test/", fmt.Sprintf("new%03d=v; Secure", i))
	}
	names := strings.Join(jar.Names(), " ")
	require.Len(t, jar.Names(), 150, "all hosts of a site count together")
	require.NotContains(t, names, "plain", "those without Secure go first")
	require.NotContains(t, names, "unused")
	require.Contains(t, names, "used")
}

func TestPartitionedBytesAreCapped(t *testing.T) {
	jar, _ := newJar("")
	for _, name := range []string{"base", "base.1", "base.2"} {
		jar.Set(sized(name, 4000) + "; Secure; Path=/; Partitioned")
	}
	require.Equal(t, []string{"base.1", "base.2"}, jar.Names(), "the first chunk is lost without a sign")

	exact, _ := newJar("")
	exact.Set(sized("a", 4096) + "; Secure; Partitioned")
	exact.Set(sized("b", 4096) + "; Secure; Partitioned")
	exact.Set(sized("c", 2048) + "; Secure; Partitioned")
	require.Equal(t, sessiontest.MaxPartitionedBytes, exact.Bytes())
	exact.Set("d=; Secure; Partitioned")
	require.Equal(t, []string{"b", "c", "d"}, exact.Names())
	exact.Set(sized("plain", 4096) + "; Secure")
	require.Len(t, exact.Names(), 4, "cookies outside of the partition do not count")
}

func TestSameSite(t *testing.T) {
	jar, _ := newJar("")
	jar.Set("strict=1; Path=/; Secure; SameSite=Strict")
	jar.Set("lax=1; Path=/; Secure; SameSite=Lax")
	jar.Set("unsaid=1; Path=/; Secure")
	jar.Set("none=1; Path=/; Secure; SameSite=None")
	jar.Set("part=1; Path=/; Secure; SameSite=None; Partitioned")
	for _, test := range []struct {
		method   string
		topLevel bool
		want     string
	}{
		{"GET", true, "lax=1; unsaid=1; none=1; part=1"},
		{"POST", true, "none=1; part=1"},
		{"GET", false, "none=1"},
		{"POST", false, "none=1"},
	} {
		r := jar.CrossSite(test.method, "/x", nil, test.topLevel)
		require.Equal(t, test.want, r.Header.Get("Cookie"), "%s top level: %v", test.method, test.topLevel)
		require.Equal(t, "cross-site", r.Header.Get("Sec-Fetch-Site"))
	}
	require.Equal(t, "strict=1; lax=1; unsaid=1; none=1; part=1", jar.Request("POST", "/x", nil).Header.Get("Cookie"))
}

func TestCrossOriginProtectionSeesCrossSite(t *testing.T) {
	jar, _ := newJar("")
	h := http.NewCrossOriginProtection().Handler(http.NotFoundHandler())
	require.Equal(t, http.StatusForbidden, jar.Do(h, jar.CrossSite("POST", "/x", nil, true)).StatusCode)
	require.Equal(t, http.StatusNotFound, jar.Do(h, jar.Request("POST", "/x", nil)).StatusCode)
}

func TestReceiveRefusesSameSiteCookiesOfSubresources(t *testing.T) {
	set := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "lax=1; Secure; SameSite=Lax")
		w.Header().Add("Set-Cookie", "none=1; Secure; SameSite=None")
	})
	jar, _ := newJar("")
	jar.Do(set, jar.CrossSite("POST", "/", nil, false))
	require.Equal(t, []string{"none"}, jar.Names())
	jar.Do(set, jar.CrossSite("POST", "/", nil, true))
	require.Equal(t, []string{"lax", "none"}, jar.Names(), "a form sent from elsewhere lands at top level")
}

func TestJarServesAClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "" {
			w.Header().Add("Set-Cookie", "__Host-a=b; Secure; Path=/; Foo")
			w.Header().Add("Set-Cookie", sized("big", 4097))
			w.Header().Add("Set-Cookie", "__Host-b=b; Path=/")
		}
		fmt.Fprint(w, r.Header.Get("Cookie"))
	}))
	defer server.Close()
	jar := &sessiontest.Jar{URL: server.URL}
	client := &http.Client{Jar: jar}
	for _, want := range []string{"", "__Host-a=b"} {
		response, err := client.Get(server.URL)
		require.NoError(t, err)
		body := make([]byte, 100)
		n, _ := response.Body.Read(body)
		response.Body.Close()
		require.Equal(t, want, string(body[:n]))
	}
}

func TestPutEvictCloneRestart(t *testing.T) {
	jar, _ := newJar("")
	jar.Set("__Host-a=b; Secure; Path=/; Max-Age=60")
	backup := jar.Clone()
	jar.Put("__Host-a", "forged")
	jar.Put("__Host-new", strings.Repeat("x", 5000))
	require.Equal(t, "forged", jar.Value("__Host-a"))
	require.Equal(t, noon.Add(time.Minute), jar.All()[0].Expires, "an edit keeps the attributes")
	require.Len(t, jar.Names(), 2, "the owner of the jar is bound by no rule")
	require.Equal(t, "__Host-a=b", backup.Header(""))
	require.Equal(t, len("__Host-ab"), backup.Bytes())

	jar.Restart()
	require.Equal(t, []string{"__Host-a"}, jar.Names())
	require.True(t, jar.Evict("__Host-a"))
	require.False(t, jar.Evict("__Host-a"))
	require.Empty(t, jar.All())
	require.Len(t, backup.All(), 1)
}

func TestAddressMustBeAbsolute(t *testing.T) {
	jar, _ := newJar("app.test")
	require.PanicsWithValue(t, "sessiontest: app.test is not an absolute URL; write it like https://app.example/",
		func() { jar.Set("a=b") })
}
