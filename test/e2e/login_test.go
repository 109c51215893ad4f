package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/browser"
)

const greeting = "你好 张三,欢迎回来"

// startLogin runs the login example with the key file, on a free port.
func startLogin(t *testing.T, keys string) *program {
	t.Helper()
	return start(t, "login", "-addr", "127.0.0.1:0", "-keys", keys)
}

func keyFile(t *testing.T) string { return filepath.Join(t.TempDir(), "session-keys.json") }

// login fills in and submits the form in the tab.
func login(t *testing.T, tab browser.Tab, name string) {
	t.Helper()
	require.NoError(t, browser.Fill(tab, "#name", name))
	require.NoError(t, browser.Follow(tab, "#submit"))
}

// open loads a page and returns the text of its main element.
func open(t *testing.T, tab browser.Tab, address string) string {
	t.Helper()
	require.NoError(t, tab.Go(address))
	return text(t, tab)
}

func text(t *testing.T, tab browser.Tab) string {
	t.Helper()
	text, err := browser.Text(tab, "main")
	require.NoError(t, err)
	return text
}

func location(t *testing.T, tab browser.Tab) string {
	t.Helper()
	address, err := browser.Location(tab)
	require.NoError(t, err)
	return address
}

func TestLoginSurvivesARestart(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		keys := keyFile(t)
		first := startLogin(t, keys)
		tab := browser.NewTab(t, b)
		require.Contains(t, open(t, tab, first.url+"/"), "未登录")
		require.NoError(t, tab.Go(first.url+"/login"))
		login(t, tab, "张三")
		require.Equal(t, first.url+"/", location(t, tab))
		require.Contains(t, text(t, tab), greeting)

		first.Stop(t)
		require.Error(t, tab.Go(first.url+"/"), "the program must not listen any more")
		second := start(t, "login", "-addr", "127.0.0.1:"+first.port(t), "-keys", keys)
		require.Equal(t, first.url, second.url)
		require.Contains(t, open(t, tab, second.url+"/"), greeting)
	})
}

func TestTwoProcessesShareALogin(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		keys := keyFile(t)
		first, second := startLogin(t, keys), startLogin(t, keys)
		require.NotEqual(t, first.url, second.url)
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(first.url+"/login"))
		login(t, tab, "张三")
		require.Contains(t, open(t, tab, second.url+"/"), greeting, "cookies know no ports")

		other := startLogin(t, keyFile(t))
		require.Contains(t, open(t, tab, other.url+"/"), "未登录", "another ring opens nothing")
		require.Contains(t, open(t, tab, first.url+"/"), greeting, "and destroys nothing")

		require.NoError(t, browser.Follow(tab, "#logout"))
		require.Contains(t, open(t, tab, second.url+"/"), "未登录", "a logout counts everywhere")
	})
}

func TestNewsSendsToLoginAndBack(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		server := startLogin(t, keyFile(t))
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.url+"/news"))
		require.Equal(t, server.url+"/login?next=/news", location(t, tab))
		login(t, tab, "张三")
		require.Equal(t, server.url+"/news", location(t, tab))
		require.Contains(t, text(t, tab), "会话住进了 Cookie")

		require.NoError(t, browser.Follow(tab, "#logout"))
		require.Equal(t, server.url+"/", location(t, tab))
		require.Contains(t, text(t, tab), "未登录")
		require.NoError(t, tab.Go(server.url+"/news"))
		require.Equal(t, server.url+"/login?next=/news", location(t, tab))
	})
}

// opened matches the program's log line about the ring at its start.
var opened = regexp.MustCompile(`(?m)^.* INFO keyring: opened .*\n`)

// complaints returns all other log lines.
func complaints(p *program) string {
	return advice.ReplaceAllString(opened.ReplaceAllString(p.Stderr(), ""), "")
}

// advice is the warning for cookies whose key is not in the ring.
var advice = regexp.MustCompile(`.* WARN carryon: a request has a session cookie whose key is not in the ring.*\n`)

func TestFlippedCharacterLogsOut(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		server := startLogin(t, keyFile(t))
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.url+"/login"))
		login(t, tab, "张三")
		cookies, err := tab.Cookies(server.url)
		require.NoError(t, err)
		require.Len(t, cookies, 1)
		sealed := cookies[0]
		require.True(t, sealed.HttpOnly && sealed.Secure)

		for _, at := range []int{0, 1, 3, 9, 20, len(sealed.Value) / 2, len(sealed.Value) - 1} {
			edited := sealed
			edited.Value = flip(sealed.Value, at)
			require.NoError(t, tab.SetCookie(server.url, edited))
			page := open(t, tab, server.url+"/")
			require.Contains(t, page, "未登录", "at %d", at)
			require.NotContains(t, page, "张三")
			require.NoError(t, tab.Go(server.url+"/news"))
			require.Equal(t, server.url+"/login?next=/news", location(t, tab))
		}
		require.NoError(t, tab.SetCookie(server.url, sealed))
		require.Contains(t, open(t, tab, server.url+"/"), greeting, "the untouched one still counts")
		require.Empty(t, complaints(server), "refused cookies must not be logged as errors")
	})
}

// TestEveryFlippedCharacterLogsOut changes each character of a cookie, with a
// client that is not a browser.
func TestEveryFlippedCharacterLogsOut(t *testing.T) {
	server := startLogin(t, keyFile(t))
	jar := &sessiontest.Jar{URL: server.url}
	form := url.Values{"name": {"张三"}, "next": {"/news"}}
	response, err := client(jar).PostForm(server.url+"/login", form)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, "/news", response.Header.Get("Location"))
	require.Len(t, jar.Names(), 1)

	name := jar.Names()[0]
	sealed := jar.Value(name)
	for at := range len(sealed) {
		jar.Put(name, flip(sealed, at))
		status, page := get(t, jar, server.url+"/")
		require.Equal(t, http.StatusOK, status, "at %d", at)
		require.Contains(t, page, "未登录", "at %d", at)
	}
	jar.Put(name, sealed)
	_, page := get(t, jar, server.url+"/")
	require.Contains(t, page, greeting)
	require.Empty(t, complaints(server))
}

func get(t *testing.T, jar http.CookieJar, address string) (int, string) {
	t.Helper()
	response, err := client(jar).Get(address)
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(page)
}

// flip replaces one character by another one of the same alphabet.
func flip(s string, at int) string {
	changed := []byte(s)
	changed[at] = 'A'
	if s[at] == 'A' {
		changed[at] = 'B'
	}
	return string(changed)
}

// TestOtherSiteLogsNobodyOut sends the logout form from a page of another site,
// as an attacker would.
func TestOtherSiteLogsNobodyOut(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		server := startLogin(t, keyFile(t))
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<form method=post action="`+server.url+`/logout"><button id=go>go</button></form>
				<form method=post action="`+server.url+`/login"><input name=name value=Mallory><button id=in>in</button></form>`)
		}))
		defer evil.Close()
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.url+"/login"))
		login(t, tab, "张三")
		for _, button := range []string{"#go", "#in"} {
			require.NoError(t, tab.Go(browser.At(evil, "other.test")+"/"))
			require.NoError(t, browser.Follow(tab, button))
			require.Contains(t, open(t, tab, server.url+"/"), greeting)
		}
	})
}
