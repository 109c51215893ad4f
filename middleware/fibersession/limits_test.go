package fibersession_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
)

func TestLimits(t *testing.T) {
	tests := []struct {
		platform middleware.Platform
		buffer   int
		want     int
	}{
		{middleware.Default, 4096, 3000}, // the same as middleware.Fasthttp
		{middleware.Default, fibersession.ReadBufferSize, 14_336},
		{middleware.Default, 64 << 10, 32_400},
		{middleware.Nginx, fibersession.ReadBufferSize, 8_000},
		{middleware.Nginx, 4096, 3000},
	}
	for _, test := range tests {
		require.Equal(t, middleware.Limits{RequestBytes: test.want}, fibersession.Limits(test.platform, test.buffer))
	}
	fasthttp, _ := middleware.Fasthttp.Limits()
	require.Equal(t, fasthttp.RequestBytes, fibersession.Limits(middleware.Default, 4096).RequestBytes)
}

func TestAppThatReadsTooLittleIsRefused(t *testing.T) {
	for _, test := range []struct {
		config middleware.Config
		buffer int
		fails  bool
	}{
		{middleware.Config{}, 0, true},
		{middleware.Config{Platform: middleware.Nginx}, 0, true},
		{middleware.Config{Platform: middleware.Fasthttp}, 0, false},
		{middleware.Config{Limits: middleware.Limits{RequestBytes: 3001}}, 4096, true},
		{middleware.Config{}, fibersession.ReadBufferSize, true},
		{middleware.Config{Platform: middleware.Nginx}, fibersession.ReadBufferSize, false},
		{middleware.Config{}, 32_400 + 1096, false},
	} {
		test.config.Keys = keyring.Ephemeral()
		sessions, err := middleware.New(test.config)
		require.NoError(t, err)
		_, err = fibersession.New(fiber.New(fiber.Config{ReadBufferSize: test.buffer}), sessions)
		require.Equal(t, test.fails, err != nil, "%v", err)
		if err != nil {
			require.Contains(t, err.Error(), "ReadBufferSize")
		}
	}
}

// grower writes n bytes under a separate name.
func grower(app *fiber.App) {
	app.Get("/grow/:name/:n", func(c fiber.Ctx) error {
		n := fiber.Params[int](c, "n")
		session.Key[string](c.Params("name")).Set(session.From(c), strings.Repeat("x", n))
		return nil
	})
}

// heavy returns long header fields besides the cookies.
func heavy() []string {
	return []string{"User-Agent", strings.Repeat("u", 200), "Accept", strings.Repeat("a", 200), "Referer", strings.Repeat("r", 400)}
}

// The app can read the next request however much a visitor writes; a session
// that is too large is refused when it is written.
func TestNoVisitorIsLockedOut(t *testing.T) {
	for name, p := range map[string]setup{
		"as Fiber comes": {fiber: fiber.Config{ReadBufferSize: fiber.DefaultReadBufferSize}, config: middleware.Config{Platform: middleware.Fasthttp, Limits: middleware.Limits{Cookies: 20}}},
		"as documented":  {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, p, grower)
			s.get("/login")
			refused := 0
			for i := range 60 {
				response, _ := s.do(http.MethodGet, fmt.Sprintf("/grow/k%d/300", i), nil, heavy()...)
				if response.StatusCode != http.StatusOK {
					require.Contains(t, []int{http.StatusInternalServerError, http.StatusTooManyRequests}, response.StatusCode)
					refused++
				}
			}
			require.NotZero(t, refused, "the budget is limited")
			require.Equal(t, refused, s.count(middleware.EventFailed))
			require.Equal(t, "ada ", s.read())
		})
	}
}

func TestSixWritersAtOnceFit(t *testing.T) {
	s := newSite(t, setup{}, grower)
	s.get("/login")
	s.get("/grow/base/1000")
	for range 5 {
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				r, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/grow/k%d/700", s.url, i), nil)
				if response, err := s.client.Do(r); err == nil {
					_ = response.Body.Close()
				}
			})
		}
		all.Wait()
		response, _ := s.do(http.MethodGet, "/read", nil, heavy()...)
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	require.Equal(t, "ada ", s.read())
}

// The reason why New refuses such an app: with Fiber's default, a visitor with
// the longest cookies of the default preset gets a 431 for every request.
func TestWhatFiberAnswersToLongCookies(t *testing.T) {
	s := newSite(t, setup{
		fiber:  fiber.Config{ReadBufferSize: fiber.DefaultReadBufferSize},
		config: middleware.Config{Platform: middleware.Fasthttp, Limits: middleware.Limits{Cookies: 20}},
	}, nil)
	s.jar.Put("much", strings.Repeat("x", 4096))
	response, _ := s.get("/read")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
}
