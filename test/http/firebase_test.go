package http_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// firebase starts a proxy like Firebase Hosting. It forwards no cookie but
// __session, and removes all cookies from responses that caches may share.
func firebase(t *testing.T, backend string) string {
	target, err := url.Parse(backend)
	require.NoError(t, err)
	proxy := httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Cookie")
			for _, c := range r.In.Cookies() {
				if c.Name == "__session" {
					r.Out.AddCookie(c)
				}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.Contains(r.Header.Get("Cache-Control"), "private") {
				r.Header.Del("Set-Cookie")
			}
			return nil
		},
	}
	server := httptest.NewServer(&proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// A hostedVisitor is a browser that uses a program through Firebase Hosting.
type hostedVisitor struct {
	t      *testing.T
	url    string
	jar    *sessiontest.Jar
	client *http.Client
}

func newHosted(t *testing.T, config middleware.Config) *hostedVisitor {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	config.Keys = ring
	sessions, err := middleware.New(config)
	require.NoError(t, err)
	backend := httptest.NewServer(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		switch r.URL.Path {
		case "/login":
			user.Set(s, "ada")
		case "/room":
			n, _ := strconv.Atoi(r.FormValue("n"))
			room.Set(s, strings.Repeat("x", n))
		case "/logout":
			s.Destroy()
		}
		w.Header().Set("Cache-Control", "public, max-age=60") // a program can set this by mistake
		name, _ := user.Get(s)
		in, _ := room.Get(s)
		_, _ = io.WriteString(w, name+" "+strconv.Itoa(len(in)))
	})))
	t.Cleanup(backend.Close)
	h := &hostedVisitor{t: t, url: firebase(t, backend.URL)}
	h.jar = &sessiontest.Jar{URL: h.url}
	h.client = &http.Client{Jar: h.jar, Timeout: patience}
	return h
}

func (h *hostedVisitor) get(path string) (int, string) {
	h.t.Helper()
	response, err := h.client.Get(h.url + path)
	require.NoError(h.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(h.t, err)
	return response.StatusCode, string(body)
}

func TestFirebaseHosting(t *testing.T) {
	h := newHosted(t, middleware.Config{Cookie: middleware.Cookie{Name: "__session", FixedName: true}})
	h.jar.Put("_ga", "of another program")
	for _, step := range []struct{ path, want string }{
		{"/login", "ada 0"}, {"/", "ada 0"}, {"/room?n=1000", "ada 1000"}, {"/", "ada 1000"}, {"/logout", " 0"}, {"/", " 0"},
	} {
		status, body := h.get(step.path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, step.want, body, step.path)
		require.Subset(t, []string{"_ga", "__session"}, h.jar.Names())
	}
}

// With one cookie per session, larger values are refused or moved to a store.
func TestFirebaseHostingAndLargeSessions(t *testing.T) {
	h := newHosted(t, middleware.Config{Cookie: middleware.Cookie{Name: "__session", FixedName: true}})
	h.get("/login")
	status, _ := h.get("/room?n=5000")
	require.Equal(t, http.StatusInternalServerError, status)
	_, body := h.get("/")
	require.Equal(t, "ada 0", body)

	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	h = newHosted(t, middleware.Config{Cookie: middleware.Cookie{Name: "__session", FixedName: true}, Fallback: middleware.Fallback{Store: store}})
	h.get("/login")
	for _, n := range []string{"5000", "10"} {
		_, body = h.get("/room?n=" + n)
		require.Equal(t, "ada "+n, body)
		_, body = h.get("/")
		require.Equal(t, "ada "+n, body)
		require.Equal(t, []string{"__session"}, h.jar.Names())
	}
}

// Without FixedName no visitor stays logged in, because Firebase Hosting
// removes the cookies.
func TestFirebaseHostingWithoutFixedName(t *testing.T) {
	h := newHosted(t, middleware.Config{Cookie: middleware.Cookie{Name: "__session"}})
	h.get("/login")
	require.NotEmpty(t, h.jar.Names())
	_, body := h.get("/")
	require.Equal(t, " 0", body)
}
