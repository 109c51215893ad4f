// Package migrate_test migrates sessions that other session libraries made to
// Carryon.
package migrate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/test/internal/notes"
)

// A program is the site before or after the migration. It serves /login?user=,
// /set?name=&value=, /get?name= and /logout.
type program interface {
	login(r *http.Request, user string)
	set(r *http.Request, name, value string)
	get(r *http.Request, name string) string
	logout(r *http.Request)
}

func routes(p program) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			p.login(r, r.FormValue("user"))
		case "/set":
			p.set(r, r.FormValue("name"), r.FormValue("value"))
		case "/get":
			_, _ = io.WriteString(w, p.get(r, r.FormValue("name")))
		case "/logout":
			p.logout(r)
		}
	}
}

// now is the program with Carryon.
type now struct{}

func (now) login(r *http.Request, user string) {
	s := session.From(r.Context())
	s.Renew()
	session.Key[string]("user").Set(s, user)
}

func (now) set(r *http.Request, name, value string) {
	session.Key[string](name).Set(session.From(r.Context()), value)
}

func (now) get(r *http.Request, name string) string {
	v, _ := session.Key[any](name).Get(session.From(r.Context()))
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (now) logout(r *http.Request) { session.From(r.Context()).Destroy() }

// clock is the clock of the new sites.
var clock notes.Clock

// settled is longer than any request is in flight. After it, the old cookie may
// be removed.
const settled = 18 * time.Minute

// newer serves the program with Carryon and the importers.
func newer(t *testing.T, observe func(middleware.Event), from ...middleware.Importer) *httptest.Server {
	t.Helper()
	sessions, err := middleware.New(middleware.Config{
		Keys: keyring.Ephemeral(), Migration: middleware.Migration{From: from, Until: clock.Now().Add(24 * time.Hour)}, Clock: clock.Now,
		Observer: func(_ context.Context, e middleware.Event) { observe(e) },
	})
	require.NoError(t, err)
	return serve(t, sessions.Handler(routes(now{})))
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

// A visitor is a browser. Both sites have the same host, because cookies ignore
// ports.
type visitor struct {
	t      *testing.T
	client *http.Client
	jar    *cookiejar.Jar
}

func newVisitor(t *testing.T, s *httptest.Server) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t: t, jar: jar, client: &http.Client{Transport: s.Client().Transport, Jar: jar}}
}

func (v *visitor) get(s *httptest.Server, path string) string {
	status, body := v.try(s, path)
	require.Equal(v.t, http.StatusOK, status, path)
	return body
}

func (v *visitor) try(s *httptest.Server, path string) (status int, body string) {
	r, err := v.client.Get(s.URL + path)
	require.NoError(v.t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(v.t, err)
	return r.StatusCode, string(b)
}

func (v *visitor) cookies(s *httptest.Server) (names []string) {
	u, err := url.Parse(s.URL)
	require.NoError(v.t, err)
	for _, c := range v.jar.Cookies(u) {
		names = append(names, c.Name)
	}
	return names
}

// carriedOver moves visitors who are logged in at the old site to the new one.
// Each sends several requests at once, as a page does.
func carriedOver(t *testing.T, older, newer *httptest.Server, oldCookie string) {
	const visitors, pages = 24, 5
	var all []*visitor
	together := func(f func(v *visitor, user string)) {
		var wg sync.WaitGroup
		for n, v := range all {
			wg.Go(func() { f(v, fmt.Sprintf("user-%d", n)) })
		}
		wg.Wait()
	}
	for range visitors {
		all = append(all, newVisitor(t, older))
	}
	together(func(v *visitor, user string) {
		v.get(older, "/login?user="+user)
		v.get(older, "/set?name=cart&value=three+apples")
		require.Equal(t, []string{oldCookie}, v.cookies(older))
		var page sync.WaitGroup
		for i := range pages {
			page.Go(func() { v.get(newer, fmt.Sprintf("/set?name=seen%d&value=%d", i, i)) })
		}
		page.Wait()
		require.Equal(t, user, v.get(newer, "/get?name=user"))
		require.Equal(t, "three apples", v.get(newer, "/get?name=cart"))
		for i := range pages {
			require.Equal(t, fmt.Sprint(i), v.get(newer, fmt.Sprintf("/get?name=seen%d", i)), "the change by a concurrent request is missing")
		}
	})
	clock.Move(settled)
	together(func(v *visitor, user string) {
		require.Equal(t, user, v.get(newer, "/get?name=user"))
		require.NotContains(t, v.cookies(newer), oldCookie)
		require.True(t, slices.ContainsFunc(v.cookies(newer), func(name string) bool { return strings.HasPrefix(name, middleware.DefaultName) }))
		require.Equal(t, "three apples", v.get(newer, "/get?name=cart"))
		v.get(newer, "/logout")
		require.Empty(t, v.get(newer, "/get?name=user"))
	})
}
