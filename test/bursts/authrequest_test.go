package bursts_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/internal/front"
	"github.com/carryon-go/carryon/test/internal/notes"
)

// recipe returns the configuration in docs/nginx-auth-request.md after a mark,
// with the addresses of this test.
func recipe(t *testing.T, mark, auth, app string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/nginx-auth-request.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "<!-- "+mark+" -->\n\n```nginx\n")
	require.True(t, found, "docs/nginx-auth-request.md lacks the mark %q", mark)
	part, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	return strings.NewReplacer("http://127.0.0.1:8080", auth, "http://127.0.0.1:9090", app).Replace(part)
}

// behind starts nginx in front of an application, with auth_request to the
// site. If joined is set, the site's Set-Cookie lines are joined, as nginx 1.23
// and later join them; the nginx of Debian does not.
func behind(t *testing.T, mark string, site *notes.Site, joined bool) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(notes.FieldProgram, "application")
		_, _ = w.Write([]byte("ok"))
	}))
	t.Cleanup(app.Close)
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The subrequest asks for /auth. The original URI says what to write.
		original, err := url.Parse(r.Header.Get("X-Original-Uri"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		inner := r.Clone(r.Context())
		inner.URL, inner.Method, inner.RequestURI = original, http.MethodPost, ""
		recorded := httptest.NewRecorder()
		site.Config.Handler.ServeHTTP(recorded, inner)
		for name, lines := range recorded.Header() {
			if name == "Set-Cookie" && joined {
				lines = []string{strings.Join(lines, ", ")}
			}
			w.Header()[name] = lines
		}
		if recorded.Code != http.StatusOK {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(auth.Close)
	p := front.Nginx(t)
	p.Config = func(dir, listen, _ string) string {
		http, server, split := strings.Cut(recipe(t, mark, auth.URL, app.URL), "server {\n")
		require.True(t, split)
		server = strings.TrimSuffix(strings.TrimSpace(server), "}")
		whole := front.NginxConfig(dir, "listen "+listen+";\n"+server)
		return strings.Replace(whole, "http {\n", "http {\n"+http, 1)
	}
	return p.Before(t, app.URL)
}

// With auth_request, a browser receives either the first Set-Cookie line of a
// write or all of them. In both cases the jar must not grow, and no write may
// be refused.
func TestAuthRequest(t *testing.T) {
	for _, test := range []struct {
		name, mark string
		joined     bool
		config     func(*middleware.Config)
		whole      bool // every write must show
	}{
		{"one line, cells", "one line", false, func(*middleware.Config) {}, false},
		{"one line, stored", "one line", false, func(c *middleware.Config) { c.Fallback.Mode = middleware.AlwaysStored }, true},
		{"one line, fixed name", "one line", false, func(c *middleware.Config) { c.Cookie.FixedName = true }, true},
		{"all lines, nginx 1.22", "all lines", false, func(*middleware.Config) {}, false},
		{"all lines, nginx 1.23", "all lines", true, func(c *middleware.Config) { c.Limits.SetCookieLines = 4 }, true},
		{"all lines, nginx 1.23, stored", "all lines", true, func(c *middleware.Config) { c.Fallback.Mode = middleware.AlwaysStored }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := &notes.Clock{}
			c := middleware.Config{Keys: newRing(t), Platform: middleware.Nginx, Clock: clock.Now}
			if test.config(&c); c.Fallback.Mode == middleware.AlwaysStored {
				c.Fallback.Store = newMemory(t)
			}
			site := notes.New(t, c)
			limits, _ := middleware.Nginx.Limits()
			v := newVisitor(t, site)
			v.base, v.http = behind(t, test.mark, site, test.joined), oneShot
			early, lost := 0, 0
			for i := range 60 {
				by := fmt.Sprint("w", i)
				v.must("/set", setting(fmt.Sprint("n", i%4), by, 20, 0))
				require.NoError(t, v.jar.fits(limits))
				if early = max(early, v.jar.field()); i >= 10 {
					require.LessOrEqual(t, v.jar.field(), early, "the jar must not grow")
				} else {
					early = max(early, v.jar.field())
				}
				p := v.direct()
				if p.Notes[fmt.Sprint("n", i%4)].Left != by {
					require.False(t, test.whole, "write %d is missing (reason %q)", i, p.Reason)
					lost++
				}
			}
			t.Logf("%d of 60 writes are missing; %d cookies, %d bytes", lost, len(v.jar.names()), v.jar.field())
			v.land(v.together(many, func(i int) (string, string, url.Values) { return set(fmt.Sprint("n", i%4), i, 20) }), limits)
			v.must("/login", url.Values{"by": {"ada"}})
			require.Equal(t, "ada", v.direct().Notes["user"].Left)
			v.must("/logout", nil)
			require.Empty(t, v.direct().Notes)
		})
	}
}

// must sends a write through nginx, which must succeed.
func (v *visitor) must(path string, form url.Values) {
	v.t.Helper()
	a := v.do("POST", path, form)
	require.Equal(v.t, http.StatusOK, a.status, "%s: %s", path, a.body)
}

// direct reads from the program, bypassing nginx.
func (v *visitor) direct() notes.Page {
	v.t.Helper()
	base := v.base
	defer func() { v.base = base }()
	v.base = ""
	a, err := v.send(v.site, "GET", "/all", nil, v.jar.header())
	require.NoError(v.t, err)
	require.False(v.t, bytes.Contains([]byte(a.body), []byte("<html>")))
	return parse(v.t, a)
}

// If only one of several Set-Cookie lines arrives, the response is incomplete.
// Of two entries written by a request, one is lost if the session is in
// cookies, and none if it is in the store.
func TestAuthRequestWithOneLineOfSeveral(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprint("stored ", stored), func(t *testing.T) {
			c := middleware.Config{Keys: newRing(t), Platform: middleware.Nginx}
			if stored {
				c.Fallback.Mode, c.Fallback.Store = middleware.AlwaysStored, newMemory(t)
			}
			site := notes.New(t, c)
			v := newVisitor(t, site)
			v.base, v.http = behind(t, "one line", site, false), oneShot
			for range 3 {
				v.must("/set", setting("large", "x", 20, 0))
			}
			v.must("/login", url.Values{"by": {"ada"}, "how": {"set"}})
			p := v.direct().Notes
			require.Equal(t, stored, p["user"].Left == "ada" && p["role"].Left == "ada")
			v.must("/login", url.Values{"by": {"eve"}}) // both entries are in one head
			p = v.direct().Notes
			require.True(t, p["user"].Left == "eve" && p["role"].Left == "eve")
		})
	}
}
