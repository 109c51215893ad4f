package middleware_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// incompressible returns text that the library cannot store in a shorter form,
// because it is not base64url.
func incompressible(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = ' ' + 1 + b[i]%94
		if i%8 == 0 {
			b[i] = '~'
		}
	}
	return string(b)
}

// token returns base64url text, as in a JWT.
func token(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}

// sizes lists, for each platform, the size of a single value that fits, and the
// size of each value if there are five.
var sizes = []struct {
	platform  middleware.Platform
	limits    middleware.Limits
	one, five int
}{
	{middleware.APIGateway, middleware.Limits{}, 4400, 850},
	{middleware.LambdaURL, middleware.Limits{}, 4400, 850},
	{middleware.Nginx, middleware.Limits{ResponseBytes: 8000}, 4800, 930},
	{middleware.Apache, middleware.Limits{}, 4800, 930},
	{middleware.CloudRun, middleware.Limits{}, 8500, 1700},
	{middleware.HAProxy, middleware.Limits{}, 8500, 1700},
	{middleware.AzureAppService, middleware.Limits{}, 8500, 1700},
	{middleware.Node, middleware.Limits{}, 8500, 1700},
	{middleware.ALB, middleware.Limits{}, 9500, 1900},
	{middleware.CloudFront, middleware.Limits{}, 9500, 1900},
	{middleware.Vercel, middleware.Limits{}, 9500, 1900},
	{middleware.Default, middleware.Limits{}, 20_000, 4000},
	{middleware.Nginx, middleware.Limits{}, 1800, 400},
	{middleware.Portable, middleware.Limits{}, 1800, 400},
}

// Values that fit at a login fit at every later write of the same size, over HTTPS
// and with a browser's jar.
func TestPlatformsHoldTheirSizes(t *testing.T) {
	for _, test := range sizes {
		for _, values := range []int{1, 5} {
			size := test.one
			if values == 5 {
				size = test.five
			}
			for kind, text := range map[string]func(int) string{"text": incompressible, "tokens": func(n int) string { return token(n * 5 / 4) }} {
				t.Run(fmt.Sprintf("%s %d of %d %s", test.platform, values, size, kind), func(t *testing.T) {
					holds(t, test.platform, test.limits, values, func() string { return text(size) })
				})
			}
		}
	}
}

func holds(t *testing.T, platform middleware.Platform, limits middleware.Limits, values int, text func() string) {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	m, err := middleware.New(middleware.Config{Keys: ring, Platform: platform, Limits: limits,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, err.Error(), 500) }})
	require.NoError(t, err)
	want := map[string]string{}
	srv := httptest.NewTLSServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		switch r.URL.Path {
		case "/login":
			s.Renew()
			for name, value := range want {
				session.Key[string](name).Set(s, value)
			}
		case "/set":
			name := r.FormValue("name")
			session.Key[string](name).Set(s, want[name])
		case "/check":
			for name, value := range want {
				if got, _ := session.Key[string](name).Get(s); got != value {
					http.Error(w, name+" differs", 500)
					return
				}
			}
		}
	})))
	defer srv.Close()
	client := srv.Client()
	client.Jar = &sessiontest.Jar{}
	do := func(path string) {
		t.Helper()
		res, err := client.Get(srv.URL + path)
		require.NoError(t, err)
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		require.Equal(t, 200, res.StatusCode, "%s: %s", path, body)
	}
	for i := range values {
		want[fmt.Sprintf("value%d", i)] = text()
	}
	do("/login")
	do("/check")
	for i := range 10 * values {
		name := fmt.Sprintf("value%d", i%values)
		want[name] = text()
		do("/set?name=" + name)
		do("/check")
	}
}
