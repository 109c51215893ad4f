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

// TestCookieHeaderIsOlderThanTheConnection shows how many requests can miss
// each other's cookies. The limit is not the six connections of HTTP/1.1: both
// browsers build the Cookie header when the page calls fetch, and the request
// then waits for a connection.
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
			time.Sleep(100 * time.Millisecond) // let the page start all requests before the first response
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
		require.LessOrEqual(t, most, 6, "too many connections to one host")
		require.Greater(t, ignorant, 6, "waiting requests must already have their Cookie header")
		t.Logf("%d of %d requests had no cookie, at most %d at once", ignorant, requests, most)
	})
}
