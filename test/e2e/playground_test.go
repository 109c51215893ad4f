package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/browser"
)

func startPlayground(t *testing.T, args ...string) *program {
	t.Helper()
	return start(t, "playground", append([]string{"-addr", "127.0.0.1:0"}, args...)...)
}

// TestPlaygroundPage uses the buttons of the page.
func TestPlaygroundPage(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		server := startPlayground(t)
		tab := browser.NewTab(t, b)
		click := func(selector, until string) {
			t.Helper()
			require.NoError(t, browser.Click(tab, selector))
			require.NoError(t, browser.Until(tab, until))
		}
		require.NoError(t, tab.Go(server.url+"/"))
		require.NoError(t, browser.Until(tab, "document.querySelector('#status').textContent === '无会话'"))

		require.NoError(t, browser.Fill(tab, "#name", "名/字"))
		require.NoError(t, browser.Fill(tab, "#value", "张三"))
		click("#put", "document.querySelector('#values').textContent.includes('张三')")
		require.NoError(t, browser.Until(tab, "document.querySelectorAll('#cookies .fill').length === 1"))
		var id, renewed string
		require.NoError(t, tab.Eval("fetch('/api/session').then(r => r.json()).then(s => s.id)", &id))
		require.Len(t, id, 22)

		click("#renew", "!document.querySelector('#facts').textContent.includes('"+id+"')")
		require.NoError(t, tab.Eval("fetch('/api/session').then(r => r.json()).then(s => s.id)", &renewed))
		require.NotEqual(t, id, renewed)

		require.NoError(t, browser.Fill(tab, "#size", "500000"))
		click("#put", "document.querySelector('#calls').textContent.includes('413')")
		require.NoError(t, browser.Until(tab, "document.querySelector('#values').textContent.includes('张三')"))
		click("#values .danger", "document.querySelector('#values').textContent.includes('还没有值')")
		click("#destroy", "document.querySelector('#status').textContent === '无会话'")
	})
}

// TestPlaygroundRaceButton has the page itself write in parallel, without a
// session.
func TestPlaygroundRaceButton(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(startPlayground(t, "-limits", "portable").url+"/"))
		require.NoError(t, browser.Click(tab, "#fire"))
		require.NoError(t, browser.Until(tab, "document.querySelectorAll('#values tr').length === 6 && document.querySelector('#verdict').textContent === '6 个写入都在'"))
		var kept, sources, slots int
		require.NoError(t, tab.Eval("document.querySelectorAll('#ticks .kept').length", &kept))
		require.NoError(t, tab.Eval("document.querySelectorAll('#values .source').length", &sources))
		require.NoError(t, tab.Eval("document.querySelectorAll('#slots .slot').length", &slots))
		require.Equal(t, []int{6, 20}, []int{kept, slots})
		require.GreaterOrEqual(t, sources, 6, "each value must show the cookie that it is from")
	})
}

// TestPlaygroundSlider changes the size of a session. The session must move
// from one cookie to several, to the store, and back.
func TestPlaygroundSlider(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		server := startPlayground(t, "-limits", "go", "-store", "memory:")
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.url+"/"))
		for _, move := range []struct {
			kilobytes int
			mode      string
			cookies   string // the session's cookies, as the page counts them
			record    bool
		}{
			{1, "inline", "→ 1 个 Cookie", false},
			{8, "chunked", "→ 4 个 Cookie", false}, // a head, and a cell in three cookies
			{200, "stored", "个 Cookie,记录 200,", true},
			{120, "stored", "个 Cookie,记录 120,", true},
			{7, "chunked", " 个 Cookie", false}, // cookies replaced by the store are removed when no requests are in flight
		} {
			slide(t, tab, move.kilobytes)
			require.NoError(t, browser.Until(tab, fmt.Sprintf(
				"document.querySelector('#stages .here')?.dataset.mode === '%s' && document.querySelector('#size-note').textContent.includes('%s')",
				move.mode, move.cookies)), "%d KB", move.kilobytes)
			var bytes int
			require.NoError(t, tab.Eval("fetch('/api/values/'+encodeURIComponent('大小')).then(r => r.text()).then(t => t.length)", &bytes))
			require.Equal(t, 1000*move.kilobytes, bytes)
			var shows bool
			require.NoError(t, tab.Eval("document.querySelector('#facts').textContent.includes('记录')", &shows))
			require.Equal(t, move.record, shows)
			require.NoError(t, tab.Eval("document.querySelector('#values .source').textContent === '记录'", &shows))
			require.Equal(t, move.record, shows)
		}
	})
}

// slide moves the slider like a visitor. The slider has the focus meanwhile, so
// that the page does not reset it.
func slide(t *testing.T, tab browser.Tab, kilobytes int) {
	t.Helper()
	require.NoError(t, tab.Eval(fmt.Sprintf(`(() => {
		const slider = document.querySelector('#slider')
		slider.focus()
		slider.value = %d
		slider.dispatchEvent(new Event('input'))
		slider.dispatchEvent(new Event('change'))
	})()`, kilobytes), nil))
}

// TestPlaygroundDelaysInABrowser makes two writes of a page overlap: both read
// the session before either is written.
func TestPlaygroundDelaysInABrowser(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		server := startPlayground(t)
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.url+"/"))
		var ms float64
		require.NoError(t, tab.Eval(`(async () => {
			const begun = performance.now()
			await fetch('/api/values/a?delay=300ms', {method: 'PUT', body: '1'})
			return performance.now() - begun
		})()`, &ms))
		require.GreaterOrEqual(t, ms, 290.0)
	})
}

// TestPlaygroundEndsWell sends a request and then asks the program to end: the
// program must respond first.
func TestPlaygroundEndsWell(t *testing.T) {
	server := startPlayground(t)
	jar := &sessiontest.Jar{URL: server.url}
	// The server sends "100 Continue" when the handler reads the body, so the
	// handler is running then.
	begun := make(chan struct{})
	trace := &httptrace.ClientTrace{Got100Continue: func() { close(begun) }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace),
		http.MethodPut, server.url+"/api/values/a?delay=1s", strings.NewReader("1"))
	require.NoError(t, err)
	r.Header.Set("Expect", "100-continue")
	c := client(jar)
	c.Transport = &http.Transport{ExpectContinueTimeout: time.Minute}

	done := make(chan error, 1)
	go func() {
		response, err := c.Do(r)
		if err == nil && response.StatusCode != http.StatusNoContent {
			err = errors.New(response.Status)
		}
		done <- err
	}()
	<-begun
	server.Stop(t)
	require.NoError(t, <-done)
	require.Len(t, jar.Names(), 1)
}

func TestPlaygroundFlags(t *testing.T) {
	keys := keyFile(t)
	startLogin(t, keys).Stop(t) // creates the key file
	args := []string{"-keys", keys, "-name", "__Secure-play", "-lifetime", "1h", "-idle", "-1s"}
	first, second := startPlayground(t, args...), startPlayground(t, args...)
	jar := &sessiontest.Jar{URL: first.url}
	r, err := http.NewRequest("PUT", first.url+"/api/values/a", strings.NewReader("1"))
	require.NoError(t, err)
	response, err := client(jar).Do(r)
	require.NoError(t, err)
	response.Body.Close()
	require.Regexp(t, `^__Secure-play\.0[a-z2-7]{9}=.*; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax$`, response.Header.Get("Set-Cookie"))
	_, value := get(t, jar, second.url+"/api/values/a")
	require.Equal(t, "1", value, "the same keys on another port")

	login := startLogin(t, keys)
	_, page := get(t, jar, login.url+"/")
	require.Contains(t, page, "未登录", "another name")
}
