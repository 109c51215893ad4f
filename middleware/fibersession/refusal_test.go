package fibersession_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
)

// If an ErrorHandler only sets a status, the response has that status and none
// of the refused content.
func TestErrorHandlerThatOnlySetsAStatus(t *testing.T) {
	s := newSite(t, setup{fiber: fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		c.Status(fiber.StatusInternalServerError)
		return nil
	}}}, func(app *fiber.App) {
		app.Get("/bad", func(c fiber.Ctx) error {
			bad.Set(session.From(c), nil)
			c.Type("html")
			return c.SendString("secret")
		})
	})
	response, body := s.get("/bad")
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	require.NotContains(t, body, "secret")
	require.NotContains(t, response.Header.Get("Content-Type"), "html")
}

// A hijacked connection is not handed over after a refusal.
func TestFailedCommitLeavesNobodyTheConnection(t *testing.T) {
	for name, silent := range map[string]bool{"after an answer": false, "without one": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, setup{}, func(app *fiber.App) {
				app.Get("/bad", func(c fiber.Ctx) error {
					bad.Set(session.From(c), nil)
					c.RequestCtx().Hijack(hijacked)
					c.RequestCtx().HijackSetNoResponse(silent)
					return nil
				})
			})
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = io.WriteString(conn, "GET /bad HTTP/1.1\r\nHost: a\r\n\r\nGET /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			require.NoError(t, err)
			all, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Contains(t, string(all), "HTTP/1.1 500 ")
			require.Contains(t, string(all), "HTTP/1.1 200 ", "the next request gets a response")
			require.NotContains(t, string(all), "secret")
		})
	}
}

// The response ends the stored record that a renewal replaces: a copy of the
// earlier cookies opens nothing.
func TestRenewalEndsWhatIsStored(t *testing.T) {
	s := newSite(t, setup{config: middleware.Config{Fallback: middleware.Fallback{Store: newFaulty(t), Mode: middleware.AlwaysStored}}}, func(app *fiber.App) {
		app.Get("/renew", func(c fiber.Ctx) error {
			session.From(c).Renew()
			return nil
		})
	})
	response, _ := s.get("/login")
	copied := strings.Split(response.Header.Get("Set-Cookie"), ";")[0]
	withCopy := func() string {
		r, err := http.NewRequest(http.MethodGet, s.url+"/read", nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", copied)
		client := http.Client{Timeout: patience}
		response, err := client.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.Equal(t, "ada ", withCopy())
	s.get("/renew")
	require.Equal(t, "ada ", s.read())
	require.Equal(t, " ", withCopy())
}

// A prefetch does not count as a visit, so the session becomes idle.
func TestPrefetchIsNoVisit(t *testing.T) {
	var now atomic.Int64
	clock := func() time.Time { return time.Unix(2e9+now.Load(), 0) }
	ring, err := keyring.Generate(clock())
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{
		Keys: ring, Clock: clock, Lifetimes: middleware.Lifetimes{Idle: time.Hour, TouchAfter: time.Minute},
		Limits: fibersession.Limits(middleware.Default, fibersession.ReadBufferSize),
	})
	require.NoError(t, err)
	app := fiber.New(fiber.Config{ReadBufferSize: fibersession.ReadBufferSize})
	handler, err := fibersession.New(app, sessions)
	require.NoError(t, err)
	app.Use(handler)
	app.Get("/login", func(c fiber.Ctx) error {
		user.Set(session.From(c), "ada")
		return nil
	})
	app.Get("/read", read)
	cookie := ""
	get := func(path, purpose string) (string, []string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Cookie", cookie)
		if purpose != "" {
			r.Header.Set("Sec-Purpose", purpose)
		}
		response, err := app.Test(r, fiber.TestConfig{})
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body), response.Header["Set-Cookie"]
	}
	_, lines := get("/login", "")
	require.Len(t, lines, 1)
	cookie = strings.Split(lines[0], ";")[0]
	now.Add(120)
	for _, purpose := range []string{"prefetch", "prefetch;prerender"} {
		body, lines := get("/read", purpose)
		require.Equal(t, "ada ", body)
		require.Empty(t, lines, purpose)
	}
	body, lines := get("/read", "something-else")
	require.Equal(t, "ada ", body)
	require.NotEmpty(t, lines)
}

// The page that a visitor wanted is in fasthttp's buffers, which the next
// request on the connection overwrites.
func TestNextOutlivesItsRequest(t *testing.T) {
	var kept []string
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/next", func(c fiber.Ctx) error {
			kept = append(kept, fibersession.Next(c, "/"))
			return nil
		})
	})
	s.get("/next?next=/aaaaaaaa")
	s.get("/next?next=/bbbbbbbb")
	s.get("/next?next=/cccccccc")
	require.Equal(t, []string{"/aaaaaaaa", "/bbbbbbbb", "/cccccccc"}, kept)
}
