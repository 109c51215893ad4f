package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

// TestScreenshots takes pictures of the examples for a person to look at:
//
//	CARRYON_SCREENSHOTS=/tmp/pictures go test -run Screenshots ./test/e2e
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("CARRYON_SCREENSHOTS")
	if dir == "" {
		t.Skip("set CARRYON_SCREENSHOTS to a directory for the pictures")
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	looks := map[string]browser.Look{
		"light": {Width: 1100, Height: 800}, "dark": {Width: 1100, Height: 800, Dark: true}, "phone": {Width: 390, Height: 800},
	}
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			for _, take := range []func(*testing.T, browser.Tab, func(string)){pictureSignIn, pictureLogin, picturePlayground, pictureChunks, pictureStored, pictureRefused} {
				tab := browser.NewTab(t, browser.Chromium(t))
				require.NoError(t, tab.Look(look))
				take(t, tab, func(page string) {
					png, err := tab.Screenshot()
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(filepath.Join(dir, page+"-"+name+".png"), png, 0o644))
				})
			}
		})
	}
}

func pictureLogin(t *testing.T, tab browser.Tab, picture func(string)) {
	server := startLogin(t, keyFile(t))
	require.NoError(t, tab.Go(server.url+"/"))
	picture("home")
	require.NoError(t, tab.Go(server.url+"/news"))
	picture("login")
	login(t, tab, "张三")
	picture("news")
	require.NoError(t, tab.Go(server.url+"/"))
	picture("welcome")
}

func picturePlayground(t *testing.T, tab browser.Tab, picture func(string)) {
	server := startPlayground(t)
	require.NoError(t, tab.Go(server.url+"/"))
	require.NoError(t, browser.Until(tab, "document.querySelector('#status').textContent === '无会话'"))
	picture("playground-empty")
	require.NoError(t, browser.Click(tab, "#put"))
	require.NoError(t, browser.Until(tab, "document.querySelector('#values').textContent.includes('你好')"))
	require.NoError(t, browser.Fill(tab, "#name", "big"))
	require.NoError(t, browser.Fill(tab, "#size", "2000"))
	require.NoError(t, browser.Click(tab, "#put"))
	require.NoError(t, browser.Until(tab, "document.querySelector('#values').textContent.includes('big')"))
	require.NoError(t, browser.Fill(tab, "#size", "500000"))
	require.NoError(t, browser.Click(tab, "#put"))
	require.NoError(t, browser.Until(tab, "document.querySelector('#calls').textContent.includes('413')"))
	picture("playground")
	require.NoError(t, tab.Eval("window.scrollTo(0, document.body.scrollHeight)", nil))
	picture("playground-end")
}

func pictureChunks(t *testing.T, tab browser.Tab, picture func(string)) {
	server := startPlayground(t, "-limits", "cloudflare")
	require.NoError(t, tab.Go(server.url+"/"))
	require.NoError(t, tab.Eval("document.cookie = 'theme=dark; path=/'", nil))
	require.NoError(t, browser.Fill(tab, "#name", "购物车"))
	require.NoError(t, browser.Fill(tab, "#size", "9000"))
	require.NoError(t, browser.Click(tab, "#put"))
	require.NoError(t, browser.Until(tab, "document.querySelector('#mode').textContent === '已分块'"))
	require.NoError(t, browser.Click(tab, "#fire"))
	require.NoError(t, browser.Until(tab, "document.querySelectorAll('.kept').length === 6 && document.querySelectorAll('.fragment').length > 3"))
	picture("chunks")
	require.NoError(t, tab.Eval("document.querySelector('#race-panel').scrollIntoView()", nil))
	picture("chunks-race")
}

func pictureStored(t *testing.T, tab browser.Tab, picture func(string)) {
	server := startPlayground(t, "-limits", "go", "-store", "memory:")
	require.NoError(t, tab.Go(server.url+"/"))
	for kilobytes, mode := range map[int]string{1: "inline", 8: "chunked", 150: "stored"} {
		slide(t, tab, kilobytes)
		require.NoError(t, browser.Until(tab, "document.querySelector('#stages .here')?.dataset.mode === '"+mode+"'"))
		require.NoError(t, tab.Eval("document.querySelector('#size-panel').scrollIntoView()", nil))
		picture("slider-" + mode)
	}
}

func pictureRefused(t *testing.T, tab browser.Tab, picture func(string)) {
	server := startPlayground(t, "-limits", "nginx")
	require.NoError(t, tab.Go(server.url+"/"))
	require.NoError(t, browser.Click(tab, "#fire"))
	require.NoError(t, browser.Until(tab, "document.querySelectorAll('.kept').length === 6 && !document.querySelector('#fire').disabled"))
	require.NoError(t, browser.Fill(tab, "#writers", "9"))
	require.NoError(t, browser.Fill(tab, "#payload", "900"))
	require.NoError(t, browser.Click(tab, "#fire"))
	require.NoError(t, browser.Until(tab, "document.querySelectorAll('.refused').length > 0 && !document.querySelector('#fire').disabled"))
	picture("refused")
	require.NoError(t, tab.Eval("document.querySelector('#values-panel').scrollIntoView()", nil))
	picture("refused-race")
}
