package browser_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

// TestCookieHeaderIsOlderThanTheConnection pins what bounds how many requests
// can be ignorant of each other's cookies: not the six connections of HTTP/1.1.
// Both browsers write the Cookie header when the page asks, and let the
// request wait for a connection with it.
func TestCookieHeaderIsOlderThanTheConnection(t *testing.T) {
	const requests = 18
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		var mu sync.Mutex
		now, most, ignorant := 0, 0, 0
		server := browser.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/set/") {
				w.Header().Set("Content-Type", "text/html")
				return
			}
			mu.Lock()
			now++
			most = max(most, now)
			if len(r.Cookies()) == 0 {
				ignorant++
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond) // so that all are asked for before one answers
			mu.Lock()
			now--
			mu.Unlock()
			http.SetCookie(w, &http.Cookie{Name: "c" + strings.TrimPrefix(r.URL.Path, "/set/"), Value: "1", Path: "/"})
		}))
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(server.URL+"/"))
		require.NoError(t, tab.Eval("Promise.all([...Array(18).keys()].map(i => fetch('/set/' + i, {method: 'PUT'})))", nil))
		cookies, err := tab.Cookies(server.URL)
		require.NoError(t, err)
		require.Len(t, cookies, requests)
		require.LessOrEqual(t, most, 6, "connections to one host")
		require.Greater(t, ignorant, 6, "requests that waited had their Cookie header already")
		t.Logf("%d of %d requests carried no cookie, at most %d at once", ignorant, requests, most)
	})
}
