// Package proxies_test runs sessions behind real proxies with their default
// settings. A proxy must accept everything that the limits of its platform
// allow.
package proxies_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/internal/front"
)

// patience limits every call. Only failing tests wait for it.
const patience = 30 * time.Second

// browserFields are the other header fields of Chromium, each in a long form.
var browserFields = map[string]string{
	"User-Agent": "Mozilla/5.0 (Linux; Android 16; SM-S948B Build/BP2A.250605.031.A3) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Chrome/156.0.8078.79 Mobile Safari/537.36",
	"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
	"Accept-Language":           "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7,fr;q=0.6",
	"Accept-Encoding":           "gzip, deflate, br, zstd",
	"Referer":                   "https://shop.example/" + strings.Repeat("catalogue/", 20),
	"Origin":                    "https://shop.example",
	"Sec-Ch-Ua":                 `"Chromium";v="156", "Google Chrome";v="156", "Not=A?Brand";v="99"`,
	"Sec-Ch-Ua-Platform":        `"Android"`,
	"Sec-Fetch-Site":            "same-origin",
	"Sec-Fetch-Mode":            "navigate",
	"Sec-Fetch-Dest":            "document",
	"Upgrade-Insecure-Requests": "1",
	"Cache-Control":             "max-age=0",
}

// filler sends the number of Set-Cookie bytes that the query requests, in
// addition to the fields of the middleware and of Go. The query's each limits a
// line, including field name and line end. The query's other is the size of a
// field of the program.
func filler(w http.ResponseWriter, r *http.Request) {
	number := func(name string) int { n, _ := strconv.Atoi(r.FormValue(name)); return n }
	h := w.Header()
	h.Set("Vary", "Cookie")
	h.Set("Cache-Control", "private, no-store")
	for left, each := number("bytes"), number("each"); left > 0; left -= each {
		h.Add("Set-Cookie", "c="+strings.Repeat("v", max(0, min(left, each)-len("Set-Cookie: c=\r\n"))))
	}
	if n := number("other"); n > 0 {
		h.Set("X", strings.Repeat("x", n))
	}
	_, _ = fmt.Fprint(w, len(strings.Join(r.Header["Cookie"], "; ")))
}

// ask sends a request with a Cookie header, and returns the status and the
// body.
func ask(t *testing.T, address, cookies string) (int, string) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	require.NoError(t, err)
	for name, value := range browserFields {
		r.Header.Set(name, value)
	}
	r.Header.Set("Cookie", cookies)
	client := http.Client{Timeout: patience}
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

// cookies returns a Cookie header of the given bytes with count cookies.
func cookies(bytes, count int) string {
	var pairs []string
	for i := range count {
		pairs = append(pairs, fmt.Sprintf("c%02d=", i))
	}
	pad := bytes - len(strings.Join(pairs, "; "))
	for i := range pairs {
		pairs[i] += strings.Repeat("v", (pad+i)/count)
	}
	return strings.Join(pairs, "; ")
}

// A request with as many cookie bytes as the platform's limits allow reaches
// the program, together with all other header fields of a browser.
func TestRequestsUpToTheLimitPass(t *testing.T) {
	front.Each(t, func(t *testing.T, p front.Proxy) {
		backend := httptest.NewServer(http.HandlerFunc(filler))
		t.Cleanup(backend.Close)
		address := p.Before(t, backend.URL) + "/" + strings.Repeat("page/", 40)
		for _, platform := range []middleware.Platform{p.Platform, middleware.Portable} {
			limits, _ := platform.Limits()
			for _, count := range []int{2, limits.Cookies} {
				status, body := ask(t, address, cookies(limits.RequestBytes, count))
				require.Equal(t, 200, status, "%s: %d bytes in %d cookies", platform, limits.RequestBytes, count)
				require.Equal(t, strconv.Itoa(limits.RequestBytes), body)
			}
		}
		t.Logf("%s: Limits allow %d bytes of Cookie, and the proxy accepts %d", p.Name, limitsOf(p).RequestBytes, mostOf(t, address))
	})
}

func limitsOf(p front.Proxy) middleware.Limits {
	limits, _ := p.Platform.Limits()
	return limits
}

// mostOf returns how many bytes of Cookie the proxy accepts, to within 50.
func mostOf(t *testing.T, address string) (most int) {
	for n := 5000; n < 40_000; n += 50 {
		if status, _ := ask(t, address, cookies(n, 5)); status != 200 {
			break
		}
		most = n
	}
	return most
}

// otherFields is the size of other response fields: a content security policy
// and Strict-Transport-Security.
const otherFields = 200

// A response with as many Set-Cookie bytes as the platform's limits allow
// reaches the browser: a few large cookies, and as many deletions as fit.
func TestResponsesUpToTheLimitPass(t *testing.T) {
	front.Each(t, func(t *testing.T, p front.Proxy) {
		backend := httptest.NewServer(http.HandlerFunc(filler))
		t.Cleanup(backend.Close)
		address := p.Before(t, backend.URL)
		for _, platform := range []middleware.Platform{p.Platform, middleware.Portable} {
			limits, _ := platform.Limits()
			for _, each := range []int{limits.CookieBytes, 1000, max(96, limits.ResponseBytes/limits.SetCookieLines+1)} {
				status, _ := ask(t, fmt.Sprintf("%s/?bytes=%d&each=%d&other=%d", address, limits.ResponseBytes, each, otherFields), "a=b")
				require.Equal(t, 200, status, "%s: %d bytes in lines of %d", platform, limits.ResponseBytes, each)
			}
		}
	})
}
