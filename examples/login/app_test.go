package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/sessiontest"
)

// clock is a clock that only the test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// visitor is a browser in front of a new program.
type visitor struct {
	*testing.T
	jar   *sessiontest.Jar
	app   http.Handler
	clock *clock
}

func newVisitor(t *testing.T) *visitor {
	clock := &clock{time.Now()}
	ring, err := keyring.Generate(clock.now.Add(-time.Hour))
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{Keys: ring, Clock: clock.Now, ErrorHandler: answerError})
	require.NoError(t, err)
	return &visitor{t, &sessiontest.Jar{Clock: clock.Now}, newApp(sessions), clock}
}

// send sends r to the program and returns the response and the page.
func (v *visitor) send(r *http.Request) (*http.Response, string) {
	v.Helper()
	response := v.jar.Do(v.app, r)
	body, err := io.ReadAll(response.Body)
	require.NoError(v, err)
	return response, string(body)
}

func (v *visitor) get(target string) (*http.Response, string) {
	v.Helper()
	return v.send(v.jar.Request(http.MethodGet, target, nil))
}

func (v *visitor) post(target string, form url.Values) (*http.Response, string) {
	v.Helper()
	r := v.jar.Request(http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.send(r)
}

func (v *visitor) login(name, next string) *http.Response {
	v.Helper()
	response, _ := v.post("/login", url.Values{"name": {name}, "next": {next}})
	return response
}

func TestLoginGreetsAndLogsOut(t *testing.T) {
	v := newVisitor(t)
	_, page := v.get("/")
	require.Contains(t, page, "未登录")
	require.Empty(t, v.jar.Names(), "reading a page sets no cookie")

	response := v.login("张三", "")
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	require.Equal(t, "/", response.Header.Get("Location"))
	_, page = v.get("/")
	require.Contains(t, page, "你好 张三,欢迎回来")
	require.NotContains(t, page, "未登录")

	response, _ = v.post("/logout", nil)
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	_, page = v.get("/")
	require.Contains(t, page, "未登录")
}

func TestNameIsEscaped(t *testing.T) {
	v := newVisitor(t)
	v.login("<script>alert(1)</script>", "")
	_, page := v.get("/")
	require.NotContains(t, page, "<script>")
	require.Contains(t, page, "&lt;script&gt;")
}

func TestLoginRefusesNamesThatAreNone(t *testing.T) {
	v := newVisitor(t)
	for _, name := range []string{"", "   ", strings.Repeat("长", 41), "\xff"} {
		require.Equal(t, http.StatusUnprocessableEntity, v.login(name, "").StatusCode, "%q", name)
		require.Empty(t, v.jar.Names())
	}
	require.Equal(t, http.StatusSeeOther, v.login(strings.Repeat("长", 40), "").StatusCode)
}

func TestNewsIsForMembers(t *testing.T) {
	v := newVisitor(t)
	response, _ := v.get("/news")
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	require.Equal(t, "/login?next=/news", response.Header.Get("Location"))

	_, page := v.get("/login?next=/news")
	require.Contains(t, page, `name="next" value="/news"`)
	require.Equal(t, "/news", v.login("张三", "/news").Header.Get("Location"))
	response, page = v.get("/news")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, page, articles[0].Title)
}

func TestNewsAnswersProgramsIn401(t *testing.T) {
	v := newVisitor(t)
	r := v.jar.Request(http.MethodGet, "/news", nil)
	r.Header.Set("Accept", "application/json")
	response, body := v.send(r)
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	require.JSONEq(t, `{"error":"请先登录","reason":"absent"}`, body)

	v.login("张三", "")
	r = v.jar.Request(http.MethodGet, "/news", nil)
	r.Header.Set("Accept", "application/json")
	response, body = v.send(r)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, body, articles[0].Title)
}

func TestLoginGoesNowhereElse(t *testing.T) {
	for next, want := range map[string]string{
		"/news":                   "/news",
		"/news?page=2#top":        "/news?page=2#top",
		"":                        "/",
		"news":                    "/",
		"//evil.example":          "/",
		"///evil.example":         "/",
		"/\\evil.example":         "/",
		"\\\\evil.example":        "/",
		"/\t/evil.example":        "/",
		"/ /evil.example":         "/",
		"/\n/evil.example":        "/",
		" //evil.example":         "/",
		"https://evil.example":    "/",
		"https:/evil.example":     "/",
		"https:evil.example":      "/",
		"javascript:alert(1)":     "/",
		"//user@evil.example/":    "/",
		"/%zz":                    "/",
		"/news\r\nSet-Cookie: a=": "/",
	} {
		require.Equal(t, want, localPath(next), "%q", next)
		require.Equal(t, want, newVisitor(t).login("张三", next).Header.Get("Location"), "%q", next)
	}
}

func TestLoginRenewsTheID(t *testing.T) {
	v := newVisitor(t)
	v.login("张三", "")
	planted := v.jar.Clone()
	v.login("李四", "")
	_, page := v.get("/")
	require.Contains(t, page, "你好 李四,欢迎回来")
	require.NotEqual(t, planted.Names(), v.jar.Names(), "the cookie's name comes from the session")
	require.Len(t, v.jar.Names(), 1, "the old session's cookie is gone")
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	v := newVisitor(t)
	v.login("张三", "")
	for _, target := range []string{"/login", "/logout"} {
		r := v.jar.CrossSite(http.MethodPost, target, strings.NewReader("name=Mallory"), true)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, _ := v.send(r)
		require.Equal(t, http.StatusForbidden, response.StatusCode)
		require.Empty(t, response.Header.Values("Set-Cookie"))
	}
	_, page := v.get("/")
	require.Contains(t, page, "你好 张三,欢迎回来")
	response, _ := v.get("/logout")
	require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, "a link cannot log a visitor out")
}

func TestEditedCookieIsNobody(t *testing.T) {
	v := newVisitor(t)
	v.login("张三", "")
	name := v.jar.Names()[0]
	sealed := v.jar.Value(name)
	for i := range len(sealed) {
		flipped := []byte(sealed)
		flipped[i] = map[bool]byte{true: 'B', false: 'A'}[flipped[i] == 'A']
		v.jar.Put(name, string(flipped))
		response, page := v.get("/")
		require.Equal(t, http.StatusOK, response.StatusCode, "at %d", i)
		require.Contains(t, page, "未登录", "at %d", i)
	}
	for _, value := range []string{"", sealed[:len(sealed)-1], sealed + "A", strings.Repeat("A", 9000)} {
		v.jar.Put(name, value)
		response, page := v.get("/")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, page, "未登录")
	}
}

func TestExpiredVisitorIsToldSo(t *testing.T) {
	v := newVisitor(t)
	v.login("张三", "")
	v.clock.now = v.clock.now.Add(middleware.DefaultIdleTimeout + time.Minute)
	_, page := v.get("/login")
	require.Contains(t, page, "登录已过期")
	require.NotContains(t, page, "退出")
}

func TestPagesAreSafe(t *testing.T) {
	v := newVisitor(t)
	for _, target := range []string{"/", "/login", "/style.css"} {
		response, body := v.get(target)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'")
		require.NotEmpty(t, body)
	}
	response, _ := v.get("/healthz")
	require.Empty(t, response.Header.Values("Vary"), "healthz does not touch the session")
	response, _ = v.get("/nothing")
	require.Equal(t, http.StatusNotFound, response.StatusCode)
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session-keys.json")
	require.NoError(t, createKeyFileOnFirstRun(path))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" { // Windows has no such modes
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}

	require.NoError(t, createKeyFileOnFirstRun(path))
	second, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, first, second)
	_, err = keyring.Open(context.Background(), keyring.File(path))
	require.NoError(t, err)
}
