package bench

import (
	"net/http"

	ginsessions "github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	echosession "github.com/labstack/echo-contrib/session"
	"github.com/labstack/echo/v4"
)

// buildGin stores the session as the README of gin-contrib/sessions shows. The
// measurement includes the router, because the middleware needs it.
func buildGin(d Data) (*Site, error) {
	registerGob()
	gin.SetMode(gin.ReleaseMode)
	store := gincookie.NewStore(randomBytes(32), randomBytes(32))
	with := func(serve func(*gin.Context, ginsessions.Session)) http.Handler {
		engine := gin.New()
		engine.Use(ginsessions.Sessions("session", store))
		engine.Any("/news", func(c *gin.Context) { serve(c, ginsessions.Default(c)) })
		return engine
	}
	return &Site{
		Login: with(func(c *gin.Context, s ginsessions.Session) {
			setAll(d, func(key string, value any) { s.Set(key, value) })
			refuse(c.Writer, s.Save())
		}),
		Untouched: with(func(c *gin.Context, _ ginsessions.Session) { page(c.Writer, "ok") }),
		Read: with(func(c *gin.Context, s ginsessions.Session) {
			if user, ok := s.Get("user").(User); ok {
				page(c.Writer, user.Name)
			}
		}),
		Change: with(func(c *gin.Context, s ginsessions.Session) {
			next := nextToken()
			s.Set("csrf", next)
			refuse(c.Writer, s.Save())
			page(c.Writer, next)
		}),
		Dump: with(func(c *gin.Context, s ginsessions.Session) {
			dump(c.Writer, gobValues{}.data(func(key string) any { return s.Get(key) }))
		}),
	}, nil
}

// buildEcho stores the session as echo's documentation shows: gorilla's cookie
// store behind the middleware of echo-contrib. The measurement includes the
// router.
func buildEcho(d Data) (*Site, error) {
	registerGob()
	with := echoHandler(echosession.Middleware(newGorillaStore()))
	get := func(c echo.Context) map[any]any {
		s, _ := echosession.Get("session", c) // an invalid cookie yields a new session
		return s.Values
	}
	return &Site{
		Login: with(func(c echo.Context) error {
			s, _ := echosession.Get("session", c)
			setAll(d, func(key string, value any) { s.Values[key] = value })
			return s.Save(c.Request(), c.Response())
		}),
		Untouched: with(func(c echo.Context) error {
			page(c.Response(), "ok")
			return nil
		}),
		Read: with(func(c echo.Context) error {
			values := get(c)
			if user, ok := values["user"].(User); ok {
				page(c.Response(), user.Name)
			}
			return nil
		}),
		Change: with(func(c echo.Context) error {
			s, _ := echosession.Get("session", c)
			next := nextToken()
			s.Values["csrf"] = next
			err := s.Save(c.Request(), c.Response())
			page(c.Response(), next)
			return err
		}),
		Dump: with(func(c echo.Context) error {
			values := get(c)
			dump(c.Response(), gobValues{}.data(func(key string) any { return values[key] }))
			return nil
		}),
	}, nil
}

// echoHandler returns a server with one page. It responds to errors with 500.
func echoHandler(sessions echo.MiddlewareFunc) func(echo.HandlerFunc) http.Handler {
	return func(serve echo.HandlerFunc) http.Handler {
		server := echo.New()
		server.HTTPErrorHandler = func(err error, c echo.Context) { refuse(c.Response(), err) }
		server.Use(sessions)
		server.Any("/news", serve)
		return server
	}
}
