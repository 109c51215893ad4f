package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/middleware"
)

// leavesHost reports whether a browser on a page of this host would leave the
// host, or run a script, for a Location. It follows the URL standard
// (url.spec.whatwg.org) for relative references: tabs and line ends are removed
// anywhere, control characters and spaces at both ends, and a backslash counts as
// a slash.
func leavesHost(location string) bool {
	s := strings.TrimFunc(location, func(c rune) bool { return c <= ' ' })
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(s)
	return !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//")
}

func TestTheModelOfABrowser(t *testing.T) {
	for _, location := range []string{"//e.test", `/\e.test`, `\\e.test`, "/\t/e.test", "\x01//e.test", "https://e.test", "javascript:x", "e.test"} {
		require.True(t, leavesHost(location), location)
	}
	for _, location := range []string{"/", "/a//b", "/?u=//e.test", "/%2fe.test", "/.//e.test", "/@e.test"} {
		require.False(t, leavesHost(location), location)
	}
}

// redirects are attacks on the parameter that a login redirects to, and the
// results of Next. "" means that Next returns the program's own page.
var redirects = map[string]struct{ next, want string }{
	"another site":            {"https://evil.test/", ""},
	"its scheme alone":        {"https:evil.test", ""},
	"no slashes":              {"https:/evil.test", ""},
	"scheme-relative":         {"//evil.test", ""},
	"three slashes":           {"///evil.test", ""},
	"many slashes":            {"//////evil.test/", ""},
	"backslash":               {`/\evil.test`, ""},
	"backslashes":             {`\\evil.test`, ""},
	"mixed":                   {`\/evil.test`, ""},
	"a backslash further in":  {`/a\..\\evil.test`, ""},
	"encoded slash":           {"/%2fevil.test", ""},
	"encoded slash, capital":  {"/%2F%2Fevil.test", ""},
	"encoded backslash":       {"/%5cevil.test", "/%5cevil.test"},
	"encoded twice":           {"/%252fevil.test", "/%252fevil.test"},
	"tab":                     {"/\t/evil.test", ""},
	"tab at the front":        {"\t//evil.test", ""},
	"CR":                      {"/\r/evil.test", ""},
	"LF":                      {"/\n/evil.test", ""},
	"CR LF and a field":       {"/\r\nSet-Cookie: session=evil", ""},
	"CR LF, encoded":          {"/%0d%0aSet-Cookie:%20a=b", "/%0d%0aSet-Cookie:%20a=b"},
	"NUL":                     {"/\x00/evil.test", ""},
	"DEL":                     {"/\x7f/evil.test", ""},
	"space at the front":      {" //evil.test", ""},
	"no-break space":          {"\u00a0//evil.test", ""},
	"javascript":              {"javascript:alert(1)", ""},
	"javascript, broken":      {"java\nscript:alert(1)", ""},
	"javascript after a path": {"/javascript:alert(1)", "/javascript:alert(1)"},
	"data":                    {"data:text/html,<script>alert(1)</script>", ""},
	"at":                      {"//app.test@evil.test/", ""},
	"at in a path":            {"/@evil.test", "/@evil.test"},
	"host without a slash":    {"evil.test", ""},
	"at without a slash":      {"@evil.test", ""},
	"dot":                     {".evil.test", ""},
	"colon":                   {":80/", ""},
	"fullwidth solidus":       {"／／evil.test", ""},
	"fullwidth after a slash": {"/／evil.test", "/%ef%bc%8fevil.test"},
	"fraction slash":          {"/⁄evil.test", "/%e2%81%84evil.test"},
	"division slash":          {"/∕evil.test", "/%e2%88%95evil.test"},
	"line separator":          {"/\u2028/evil.test", "/%e2%80%a8/evil.test"},
	"dots":                    {"/..//evil.test", ""},
	"dots in the middle":      {"/a/..//evil.test", ""},
	"encoded dots":            {"/%2e%2e//evil.test", ""},
	"dot and slashes":         {"/.//evil.test", ""},
	"very long":               {"/" + strings.Repeat("a", 2048), ""},
	"as long as may be":       {"/" + strings.Repeat("a", 2047), "/" + strings.Repeat("a", 2047)},
	"half an escape":          {"/%", ""},
	"not an escape":           {"/%zz", ""},
	"brackets":                {"//[::1]/", ""},
	"query with a site":       {"/?next=//evil.test", "/?next=//evil.test"},
	"query only":              {"?next=//evil.test", ""},
	"fragment only":           {"#//evil.test", ""},
	"nothing":                 {"", ""},
}

func TestRedirectsStayHere(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{Login: "/login"}))
	for name, test := range redirects {
		t.Run(name, func(t *testing.T) {
			want := test.want
			if want == "" {
				want = "/home"
			}
			a := s.get("/welcome?next=" + url.QueryEscape(test.next))
			require.Equal(t, want, a.Header.Get("Location"))
			require.False(t, leavesHost(a.Header.Get("Location")))
			require.Empty(t, a.Header.Values("Set-Cookie"), "the target cannot add a header field")
		})
	}
}

// Next returns the same if the form has the parameter. If the query has one as well,
// the form's value counts.
func TestRedirectsStayHereByAnyWay(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{Login: "/login"}))
	post := func(query, body string) string {
		r, err := http.NewRequest(http.MethodPost, s.URL+"/welcome"+query, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := s.client.Do(r)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		return a.Header.Get("Location")
	}
	require.Equal(t, "/a", post("", "next=/a"))
	require.Equal(t, "/home", post("", "next=//evil.test"))
	require.Equal(t, "/home", post("?next=/a", "next=//evil.test"), "the form's value counts, as in FormValue")
	require.Equal(t, "/home", post("?next=//evil.test&next=/a", ""))
}

// Whatever the parameter is, Next returns the program's page or a page of this
// host.
func TestNextNeverLandsElsewhere(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"/", `\`, "//", "\t", "\n", "\r", " ", ".", "..", "@", ":", "?", "#", "%2f", "%5c", "%09", "%00",
			"evil.test", "javascript:", "https:", "／", "\u2028", "\u00a0", "[", "a"}),
		rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		next := strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "next"), "")
		r := &http.Request{URL: &url.URL{Path: "/login", RawQuery: url.Values{"next": {next}}.Encode()}}
		got := middleware.Next(r, "/home")
		require.False(t, leavesHost(got), "%q leads to %q", next, got)
		require.NotContains(t, got, "\r")
		require.NotContains(t, got, "\n")
		require.True(t, got == "/home" || got == next)
	})
}

// A guard's redirect contains only a path of this host, whatever the request line
// is.
func TestTheWayBackIsOfThisHost(t *testing.T) {
	sessions, err := middleware.New(middleware.Config{Keys: newRing(t), Clock: func() time.Time { return noon }})
	require.NoError(t, err)
	handler := sessions.Handler(middleware.Require(user, middleware.Guard{Login: "/login"})(http.NotFoundHandler()))
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom([]string{"/a", "//evil.test", `/\evil.test`, "/%2fevil.test", "/%5cevil.test", "/a/..//evil.test", "*", "/%0a/evil"}).Draw(t, "path")
		query := rapid.SampledFrom([]string{"", "x=y", "next=//evil.test", "a=%0d%0ab"}).Draw(t, "query")
		u := &url.URL{Opaque: path, RawQuery: query}
		if parsed, err := url.ParseRequestURI(path); err == nil {
			u, u.RawQuery = parsed, query
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Accept": {"text/html"}}, Host: "app.test"})
		location := w.Header().Get("Location")
		require.True(t, strings.HasPrefix(location, "/login"), location)
		to, err := url.Parse(location)
		require.NoError(t, err)
		if next := to.Query().Get("next"); next != "" {
			require.False(t, leavesHost(next), "%q?%q leads to %q", path, query, next)
		}
	})
}
