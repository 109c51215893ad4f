package frameworks_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

var errConflict = errors.New("a conflict")

func serveEcho(t *testing.T, p *program) string {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	answerOthers := e.HTTPErrorHandler
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		if errors.Is(err, errConflict) {
			_ = c.String(http.StatusConflict, "sorry, "+do(echoSession(c), "count", ""))
			return
		}
		answerOthers(c, err)
	}
	e.Use(echomiddleware.Recover())
	e.POST("/do/:step/:arg", func(c *echo.Context) error {
		return c.JSON(http.StatusOK, answer{do(echoSession(c), c.Param("step"), c.Param("arg"))})
	})
	e.GET("/moved", func(c *echo.Context) error {
		do(echoSession(c), "count", "")
		return c.Redirect(http.StatusSeeOther, "/elsewhere")
	})
	e.GET("/fails", func(c *echo.Context) error { return errConflict })
	e.GET("/panics", func(c *echo.Context) error {
		do(echoSession(c), "count", "")
		panic("the handler has panicked")
	})
	e.GET("/file", func(c *echo.Context) error {
		do(echoSession(c), "count", "")
		http.ServeFile(c.Response(), c.Request(), p.file)
		return nil
	})
	e.GET("/stream", func(c *echo.Context) error {
		do(echoSession(c), "count", "")
		c.Response().Header().Set("Content-Type", "text/event-stream")
		p.parts(func(part string) {
			_, _ = io.WriteString(c.Response(), part)
			_ = http.NewResponseController(c.Response()).Flush()
		})
		return nil
	})
	e.GET("/guarded", func(c *echo.Context) error { return c.String(http.StatusOK, do(echoSession(c), "count", "")) },
		echo.WrapMiddleware(middleware.Require(user, middleware.Guard{})))
	e.GET("/proxy/*", echo.WrapHandler(http.HandlerFunc(p.proxy)))
	e.GET("/socket", echo.WrapHandler(http.HandlerFunc(p.socket)))
	e.Group("/admin", withSession(p.admin)).GET("/", func(c *echo.Context) error {
		do(echoSession(c), "login", "root")
		return nil
	})
	return serve(t, p.sessions.Handler(e))
}

func echoSession(c *echo.Context) *session.Session { return session.From(c.Request().Context()) }

// withSession gives a group of routes its own sessions. It handles errors
// inside of the session, so that error pages can change the session.
func withSession(sessions *middleware.Sessions) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			outer := c.Response()
			defer func() { c.SetResponse(outer) }()
			sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				c.SetResponse(echo.NewResponse(w, c.Echo().Logger))
				if err := next(c); err != nil {
					c.Echo().HTTPErrorHandler(c, err)
				}
			})).ServeHTTP(outer, c.Request())
			return nil
		}
	}
}
