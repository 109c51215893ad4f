package middleware_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
)

// guarded is app with a login required under /account.
func guarded(g middleware.Guard) http.HandlerFunc {
	account := middleware.Require(user, g)(http.HandlerFunc(read))
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/account"):
			account.ServeHTTP(w, r)
		case r.URL.Path == "/welcome":
			app(w, r)
			http.Redirect(w, r, middleware.Next(r, "/home"), http.StatusSeeOther)
		default:
			app(w, r)
		}
	}
}

const page = "Accept: text/html,application/xhtml+xml"

func TestRequire(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{Login: "/login-page"}))
	a := s.get("/account/orders?year=2026&x=a+b", page)
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, "/login-page?next=%2Faccount%2Forders%3Fyear%3D2026%26x%3Da%2Bb", a.Header.Get("Location"))
	require.Equal(t, "private, no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, "Cookie", a.Header.Get("Vary"))
	to, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	a = s.get("/welcome?user=ada&" + to.RawQuery)
	require.Equal(t, "/account/orders?year=2026&x=a+b", a.Header.Get("Location"))
	s.get("/set?user=ada")
	a = s.get("/account/orders", page)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "ada", a.body)
	require.Equal(t, "private", a.Header.Get("Cache-Control"))
}

func TestRequireOfProgramsAndForms(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{Login: "/login-page?theme=dark"}))
	for _, accept := range []string{"Accept: application/json", "Accept: */*", "X: y"} {
		a := s.get("/account", accept)
		require.Equal(t, http.StatusUnauthorized, a.StatusCode)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.Equal(t, `Session realm="`+strings.TrimPrefix(s.URL, "http://")+`"`, a.Header.Get("WWW-Authenticate"))
		var body map[string]string
		require.NoError(t, json.Unmarshal([]byte(a.body), &body))
		require.Equal(t, map[string]string{"error": "login required", "reason": "absent", "login": "/login-page?theme=dark"}, body)
	}
	a := s.request(http.MethodPost, "/account/delete", page)
	require.Equal(t, "/login-page?theme=dark", a.Header.Get("Location"), "a redirect cannot repeat a form")
	a = s.get("/account", page)
	require.Equal(t, "/login-page?theme=dark&next=%2Faccount", a.Header.Get("Location"))

	s = newSite(t, guarded(middleware.Guard{}))
	require.Equal(t, http.StatusUnauthorized, s.get("/account", page).StatusCode)
	s = newSite(t, guarded(middleware.Guard{Login: "/l", API: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".json") }}))
	require.Equal(t, http.StatusUnauthorized, s.get("/account/a.json", page).StatusCode)
	require.Equal(t, http.StatusSeeOther, s.get("/account/a").StatusCode)
}

// Cookies that do not open get the same answer as no cookies, whatever the fault
// is.
func TestRequireTellsNothingOfSeals(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{}))
	s.get("/set?user=ada")
	good := s.cookie()
	change := map[string]func(string) string{
		"flipped": func(v string) string {
			if v[20] == 'A' {
				return v[:20] + "B" + v[21:]
			}
			return v[:20] + "A" + v[21:]
		},
		"cut":       func(v string) string { return v[:len(v)-40] },
		"key":       func(v string) string { return v[:2] + "AAAA" + v[6:] },
		"format":    func(v string) string { return "B" + v[1:] },
		"malformed": func(string) string { return "?" },
	}
	for name, f := range change {
		a := s.bare("/account", good.Name+"="+f(good.Value))
		require.Equal(t, http.StatusUnauthorized, a.StatusCode, name)
		require.JSONEq(t, `{"error":"login required","reason":"absent"}`, a.body, name)
	}
}

// While the store is down, visitors are not redirected to the login page.
func TestRequireWhileTheStoreIsDown(t *testing.T) {
	s, store := storedSite(t, asProgram(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/account") {
			guarded(middleware.Guard{Login: "/login"})(w, r)
			return
		}
		storedApp(w, r)
	}))
	s.get("/set?user=ada")
	s.grow("a", 60_000)
	store.fail(errors.New("connection refused"))
	a := s.get("/account", page)
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Empty(t, a.Header.Get("Location"))
	require.NotEqual(t, "ada", a.body)
}

// Neither a request nor a link can make Next return another site.
func TestNextLeadsNowhereElse(t *testing.T) {
	s := newSite(t, guarded(middleware.Guard{Login: "/login"}))
	for _, next := range []string{
		"https://evil.test/", "//evil.test/", "///evil.test", `/\evil.test`, `\/evil.test`, `/\/evil.test`, "/\t/evil.test", "/\n/evil.test",
		"\t//evil.test", " //evil.test", "javascript:alert(1)", "evil.test", "http:evil.test", "/%2fevil.test", "/%5c%5cevil.test/..//",
		"//user@evil.test", "/\x00/evil.test", "", "/" + strings.Repeat("a", 3000), "/%zz",
	} {
		to := s.get("/welcome?next=" + url.QueryEscape(next)).Header.Get("Location")
		if to == "/home" {
			continue
		}
		got, err := http.NewRequest(http.MethodGet, s.URL+"/", nil)
		require.NoError(t, err)
		u, err := got.URL.Parse(to)
		require.NoError(t, err)
		require.Equal(t, got.URL.Host, u.Host, "%q leads to %q", next, to)
		require.False(t, strings.HasPrefix(to, "//") || strings.Contains(to, `\`), "%q leads to %q", next, to)
	}
	for _, next := range []string{"/", "/a/b?c=d&e=//f", "/a//b", "/%E4%BD%A0", "/a#b", "/你好"} {
		require.NotEqual(t, "/home", s.get("/welcome?next="+url.QueryEscape(next)).Header.Get("Location"), next)
	}
}

// A guard around all handlers never redirects to another host, whatever the
// request line contains.
func TestGuardSendsNobodyToAnotherHost(t *testing.T) {
	h := newSessions(t).Handler(middleware.Require(user, middleware.Guard{Login: "/login"})(http.HandlerFunc(read)))
	for path, want := range map[string]string{
		"/account":              "/login?next=%2Faccount",
		"/a/..b":                "/login?next=%2Fa%2F..b",
		"//evil.test/account":   "/login",
		"///evil.test":          "/login",
		`/\evil.test/account`:   "/login?next=%2F%255Cevil.test%2Faccount", // stays encoded, so it is a path of this host
		"/..//evil.test":        "/login",
		"/a/../..//evil.test":   "/login",
		"/%2e%2e//evil.test":    "/login",
		"http://evil.test/path": "/login?next=%2Fpath", // the form that proxies get: the host is dropped
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: shop.test\r\nAccept: text/html\r\n\r\n")))
		require.NoError(t, err, path)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusSeeOther, w.Code, path)
		require.Equal(t, want, w.Header().Get("Location"), path)
	}
}

// The handler behind a guard does not run for visitors who are refused, nor if the
// session failed to load. The same is true for Loaded.
func TestRefusedRequestsDoNotReachTheHandler(t *testing.T) {
	var ran int
	behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ran++; read(w, r) })
	for name, guarded := range map[string]func(*middleware.Sessions) http.Handler{
		"Require": func(m *middleware.Sessions) http.Handler {
			return m.Handler(middleware.Require(user, middleware.Guard{})(behind))
		},
		"Loaded": func(m *middleware.Sessions) http.Handler { return m.Loaded(behind) },
	} {
		t.Run(name, func(t *testing.T) {
			s, store := storedSite(t)
			h := guarded(s.sessions)
			visit := func() *httptest.ResponseRecorder {
				ran = 0
				r := httptest.NewRequest(http.MethodGet, "/account", nil)
				r.Header.Set("Cookie", s.header())
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			if name == "Require" {
				require.Equal(t, http.StatusUnauthorized, visit().Code)
				require.Zero(t, ran)
			}
			s.get("/set?user=ada")
			s.grow("a", 60_000)
			require.Equal(t, "ada", visit().Body.String())
			require.Equal(t, 1, ran)
			store.fail(errors.New("connection refused"))
			w := visit()
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Zero(t, ran)
			require.NotContains(t, w.Body.String(), "ada")
		})
	}
}
