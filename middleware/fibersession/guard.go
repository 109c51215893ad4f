package fibersession

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// Require is [middleware.Require] as a Fiber handler. It admits only requests
// whose session has a value under key.
//
//	app.Use("/account", fibersession.Require(user, middleware.Guard{Login: "/login"}))
func Require[T any](key session.Key[T], g middleware.Guard) fiber.Handler {
	refuse := middleware.Require(key, g)(http.NotFoundHandler())
	return func(c fiber.Ctx) error {
		s := session.From(c)
		if s.Load(c.Context()) != nil {
			return nil // the commit reports it
		}
		if _, ok := key.Get(s); ok {
			return c.Next()
		}
		r, err := adaptor.ConvertRequest(c, true)
		if err != nil {
			return fiber.ErrBadRequest
		}
		w := page{header: http.Header{}, status: http.StatusOK}
		refuse.ServeHTTP(&w, r.WithContext(c.Context()))
		return w.send(c)
	}
}

// page is a response written by a net/http handler.
type page struct {
	header http.Header
	status int
	body   []byte
}

func (w *page) Header() http.Header    { return w.header }
func (w *page) WriteHeader(status int) { w.status = status }
func (w *page) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}

func (w *page) send(c fiber.Ctx) error {
	for name, lines := range w.header {
		for _, line := range lines {
			set(&c.Response().Header, name, line)
		}
	}
	return c.Status(w.status).Send(w.body)
}

// Next is [middleware.Next]: it returns the page that a visitor requested
// before the guard redirected to the login, or otherwise.
func Next(c fiber.Ctx, otherwise string) string {
	r, err := adaptor.ConvertRequest(c, true)
	if err != nil {
		return otherwise
	}
	return strings.Clone(middleware.Next(r, otherwise)) // r is in fasthttp's buffers
}
