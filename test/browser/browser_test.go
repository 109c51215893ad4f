package browser_test

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }

// echo sets the session's cookie and returns the request's cookies.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/set" {
		w.Header().Add("Set-Cookie", "__Host-session=v1; Path=/; Secure; HttpOnly; SameSite=Lax")
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.Write([]byte("<p>" + r.Header.Get("Cookie") + "</p><a href=/set>set</a><form method=post action=/set><input name=x></form>"))
}

func TestHostCookieComesBackOnLoopback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.URL+"/set"))
		text, err := browser.Text(tab, "p")
		require.NoError(t, err)
		require.Equal(t, "__Host-session=v1", text)

		var visible string
		require.NoError(t, tab.Eval("document.cookie", &visible))
		require.Empty(t, visible, "HttpOnly")
		cookies, err := tab.Cookies(server.URL)
		require.NoError(t, err)
		require.Equal(t, []browser.Cookie{{
			Name: "__Host-session", Value: "v1", Domain: "127.0.0.1", Path: "/", Secure: true, HttpOnly: true, SameSite: "lax",
		}}, cookies)
	})
}

func TestJarsAreApartAndSiblingsShare(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		first, second := browser.NewTab(t, b), browser.NewTab(t, b)
		require.NoError(t, first.Go(server.URL+"/set"))
		require.NoError(t, second.Go(server.URL))
		text, err := browser.Text(second, "p")
		require.NoError(t, err)
		require.Empty(t, text)

		sibling, err := first.Sibling()
		require.NoError(t, err)
		defer sibling.Close()
		require.NoError(t, sibling.Go(server.URL))
		text, err = browser.Text(sibling, "p")
		require.NoError(t, err)
		require.Equal(t, "__Host-session=v1", text)
	})
}

func TestCookieIsEdited(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.URL+"/set"))
		cookies, err := tab.Cookies(server.URL)
		require.NoError(t, err)
		cookies[0].Value = "v2"
		require.NoError(t, tab.SetCookie(server.URL, cookies[0]))
		require.NoError(t, tab.Go(server.URL))
		text, err := browser.Text(tab, "p")
		require.NoError(t, err)
		require.Equal(t, "__Host-session=v2", text)
	})
}

func TestEvalAwaitsAndReportsErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.URL))
		var status int
		require.NoError(t, tab.Eval("fetch('/').then(r => r.status)", &status))
		require.Equal(t, 200, status)
		var text *string
		require.NoError(t, tab.Eval("undefined", &text))
		require.Nil(t, text)
		require.ErrorContains(t, tab.Eval("Promise.reject(new Error('no luck'))", nil), "no luck")
		require.ErrorContains(t, browser.Click(tab, "#missing"), "no element #missing")
		require.Error(t, tab.Go("http://127.0.0.1:1/"), "no server listens on port 1")
	})
}

func TestFollowWaitsForTheNextPage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.URL))
		require.NoError(t, browser.Fill(tab, "input", "文字"))
		require.NoError(t, browser.Follow(tab, "a"))
		text, err := browser.Text(tab, "p")
		require.NoError(t, err)
		require.Equal(t, "__Host-session=v1", text)
		address, err := browser.Location(tab)
		require.NoError(t, err)
		require.Equal(t, server.URL+"/", address)
	})
}

func TestScreenshotHasTheSizeAskedFor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Look(browser.Look{Width: 700, Height: 500}))
		require.NoError(t, tab.Go(server.URL))
		picture, err := tab.Screenshot()
		require.NoError(t, err)
		size, err := png.DecodeConfig(bytes.NewReader(picture))
		require.NoError(t, err)
		require.Equal(t, [2]int{700, 500}, [2]int{size.Width, size.Height})
	})
}

func TestTLSHostsAreTrusted(t *testing.T) {
	server := browser.NewTLSServer(t, http.HandlerFunc(echo))
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(browser.At(server, "a.app.test")+"/set"))
		text, err := browser.Text(tab, "p")
		require.NoError(t, err)
		require.Equal(t, "__Host-session=v1", text)
	})
}
