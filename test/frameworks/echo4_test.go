package frameworks_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func serveEcho4(t *testing.T, p *program) string {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if errors.Is(err, errConflict) {
			_ = c.String(http.StatusConflict, "sorry, "+do(echo4Session(c), "count", ""))
			return
		}
		e.DefaultHTTPErrorHandler(err, c)
	}
	e.Use(echomiddleware.Recover())
	e.POST("/do/:step/:arg", func(c echo.Context) error {
		return c.JSON(http.StatusOK, answer{do(echo4Session(c), c.Param("step"), c.Param("arg"))})
	})
	e.GET("/moved", func(c echo.Context) error {
		do(echo4Session(c), "count", "")
		return c.Redirect(http.StatusSeeOther, "/elsewhere")
	})
	e.GET("/fails", func(c echo.Context) error { return errConflict })
	e.GET("/panics", func(c echo.Context) error {
		do(echo4Session(c), "count", "")
		panic("the handler has panicked")
	})
	e.GET("/file", func(c echo.Context) error {
		do(echo4Session(c), "count", "")
		http.ServeFile(c.Response(), c.Request(), p.file) // e.File is limited to its own file system
		return nil
	})
	e.GET("/stream", func(c echo.Context) error {
		do(echo4Session(c), "count", "")
		c.Response().Header().Set("Content-Type", "text/event-stream")
		p.parts(func(part string) {
			_, _ = io.WriteString(c.Response(), part)
			c.Response().Flush()
		})
		return nil
	})
	e.GET("/guarded", func(c echo.Context) error { return c.String(http.StatusOK, do(echo4Session(c), "count", "")) },
		echo.WrapMiddleware(middleware.Require(user, middleware.Guard{})))
	e.GET("/proxy/*", echo.WrapHandler(http.HandlerFunc(p.proxy)))
	e.GET("/socket", echo.WrapHandler(http.HandlerFunc(p.socket)))
	e.Group("/admin", withSession4(p.admin)).GET("/", func(c echo.Context) error {
		do(echo4Session(c), "login", "root")
		return nil
	})
	return serve(t, p.sessions.Handler(e))
}

func echo4Session(c echo.Context) *session.Session { return session.From(c.Request().Context()) }

// withSession4 is withSession for echo v4.
func withSession4(sessions *middleware.Sessions) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			outer := c.Response().Writer
			defer func() { c.Response().Writer = outer }()
			sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				c.Response().Writer = w
				if err := next(c); err != nil {
					c.Error(err)
				}
			})).ServeHTTP(outer, c.Request())
			return nil
		}
	}
}
