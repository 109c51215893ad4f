package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

// signInAtDemo opens a page for members and presses the provider's button.
func signInAtDemo(t *testing.T, tab browser.Tab, page string) {
	t.Helper()
	require.NoError(t, tab.Go(page))
	require.NoError(t, browser.Follow(tab, "button[value=ada]"))
	require.NoError(t, browser.Until(tab, "location.href === '"+page+"'"))
}

// A visitor signs in, sends requests at once when the token has expired, ends the
// session at the provider, signs in again, and signs out.
func TestSignInExample(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		site := start(t, "oidc", "-addr", "localhost:0", "-lifetime", "2s")
		tab := browser.NewTab(t, b)
		signInAtDemo(t, tab, site.url+"/account")
		require.Contains(t, text(t, tab), "ada@example.com")
		require.NoError(t, tab.Go(location(t, tab)), "a reload")

		require.NoError(t, tab.Go(site.url+"/burst"))
		for range 3 {
			time.Sleep(2 * time.Second) // the lifetime of the token
			require.NoError(t, tab.Eval("document.querySelector('#result').textContent = ''", nil))
			require.NoError(t, browser.Click(tab, "#send"))
			require.NoError(t, browser.Until(tab, "document.querySelector('#result').textContent !== ''"))
			result, err := browser.Text(tab, "#result")
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(result, "30 of 30 requests succeeded. The token was refreshed "), result)
			require.False(t, strings.HasSuffix(result, " 0 times."), result)
		}

		var provider string
		require.NoError(t, tab.Go(site.url+"/"))
		require.NoError(t, tab.Eval("document.querySelector('main p a[href^=\"http://127\"]').href", &provider))
		require.NoError(t, tab.Go(provider))
		require.NoError(t, browser.Follow(tab, "button[name=sid]"))
		require.Contains(t, text(t, tab), "There is none.")
		require.NoError(t, tab.Go(site.url+"/"))
		require.Contains(t, text(t, tab), "You are not signed in.")

		signInAtDemo(t, tab, site.url+"/tokens")
		require.Contains(t, text(t, tab), "access token")
		require.NoError(t, tab.Go(site.url+"/"))
		require.NoError(t, browser.Follow(tab, "main form button"))
		require.NoError(t, browser.Until(tab, "location.href === '"+site.url+"/' && document.body.textContent.includes('not signed in')"))
		cookies, err := tab.Cookies(site.url + "/")
		require.NoError(t, err)
		require.LessOrEqual(t, len(cookies), 1, "only the mark of the logout is left")
		require.Empty(t, site.Stderr())
	})
}

func pictureSignIn(t *testing.T, tab browser.Tab, picture func(string)) {
	site := start(t, "oidc", "-addr", "localhost:0")
	require.NoError(t, tab.Go(site.url+"/account"))
	picture("oidc-provider")
	signInAtDemo(t, tab, site.url+"/account")
	require.NoError(t, tab.Go(site.url+"/account"))
	picture("oidc-account")
	require.NoError(t, tab.Go(site.url+"/tokens"))
	picture("oidc-tokens")
	require.NoError(t, tab.Go(site.url+"/burst"))
	require.NoError(t, browser.Click(tab, "#send"))
	require.NoError(t, browser.Until(tab, "document.querySelector('#result').textContent !== ''"))
	picture("oidc-burst")
}
