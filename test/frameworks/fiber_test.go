package frameworks_test

import (
	"bufio"
	"errors"
	"net"
	"testing"

	"github.com/gofiber/contrib/v3/websocket"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/proxy"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
)

func serveFiber(t *testing.T, p *program) string {
	app := fiber.New(fiber.Config{ReadBufferSize: fibersession.ReadBufferSize, ErrorHandler: func(c fiber.Ctx, err error) error {
		if errors.Is(err, errConflict) {
			return c.Status(fiber.StatusConflict).SendString("sorry, " + do(session.From(c), "count", ""))
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	sessions, err := fibersession.New(app, p.sessions)
	require.NoError(t, err)
	adminSessions, err := fibersession.New(app, p.admin)
	require.NoError(t, err)
	app.Use(sessions, recover.New())
	fiberRoutes(app, p)
	app.Group("/admin", adminSessions).Get("/", func(c fiber.Ctx) error {
		do(session.From(c), "login", "root")
		return nil
	})
	return listen(t, app)
}

func fiberRoutes(app *fiber.App, p *program) {
	app.Post("/do/:step/:arg", func(c fiber.Ctx) error {
		return c.JSON(answer{do(session.From(c), c.Params("step"), c.Params("arg"))})
	})
	app.Get("/moved", func(c fiber.Ctx) error {
		do(session.From(c), "count", "")
		return c.Redirect().Status(fiber.StatusSeeOther).To("/elsewhere")
	})
	app.Get("/fails", func(c fiber.Ctx) error { return errConflict })
	app.Get("/panics", func(c fiber.Ctx) error {
		do(session.From(c), "count", "")
		panic("the handler has panicked")
	})
	app.Get("/file", func(c fiber.Ctx) error {
		do(session.From(c), "count", "")
		return c.SendFile(p.file)
	})
	app.Get("/stream", func(c fiber.Ctx) error {
		do(session.From(c), "count", "")
		c.Set("Content-Type", "text/event-stream")
		return c.SendStreamWriter(func(w *bufio.Writer) {
			p.parts(func(part string) {
				_, _ = w.WriteString(part)
				_ = w.Flush()
			})
		})
	})
	app.Get("/guarded", fibersession.Require(user, middleware.Guard{}), func(c fiber.Ctx) error {
		return c.SendString(do(session.From(c), "count", ""))
	})
	app.Get("/proxy/*", func(c fiber.Ctx) error { // Fiber's own proxy: see docs/frameworks.md
		do(session.From(c), "count", "")
		return proxy.Do(c, p.backend+"/x")
	})
	app.Get("/socket", func(c fiber.Ctx) error {
		s := session.From(c)
		do(s, "count", "")
		return websocket.New(func(conn *websocket.Conn) { p.ended <- fiberSocket(conn, s) })(c)
	})
}

func fiberSocket(conn *websocket.Conn, s *session.Session) error {
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return s.Err()
		}
		if err := conn.WriteMessage(websocket.TextMessage, append(message, " "+do(s, "count", "")...)); err != nil {
			return err
		}
	}
}

func listen(t *testing.T, app *fiber.App) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		require.NoError(t, app.ShutdownWithTimeout(patience))
		require.NoError(t, <-ended)
	})
	return "http://" + listener.Addr().String()
}
