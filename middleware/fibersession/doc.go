// Package fibersession adds sessions to a Fiber app (v3).
//
//	const size = fibersession.ReadBufferSize
//	app := fiber.New(fiber.Config{ReadBufferSize: size})
//	sessions, err := middleware.New(middleware.Config{Keys: keys, Limits: fibersession.Limits(middleware.Default, size)})
//	handler, err := fibersession.New(app, sessions)
//	app.Use(handler)
//
//	app.Post("/login", func(c fiber.Ctx) error {
//		s := session.From(c) // or from c.Context()
//		s.Renew()
//		user.Set(s, User{Name: "张三"})
//		return c.Redirect().To("/")
//	})
//
// # The size of a request
//
// By default, Fiber reads at most 4,096 bytes of request line and header, and
// responds 431 to anything longer, on every path. A browser with too many
// cookies is then locked out until they expire. So raise ReadBufferSize; [New]
// refuses an app that reads less than its sessions may need. If you cannot
// raise it, use [middleware.Fasthttp]. With that platform a session holds a
// login id and little else.
//
// # Differences from net/http
//
// Fiber sends a response after all handlers have returned. The session is
// committed then, after the app's ErrorHandler. The handler of New calls the
// ErrorHandler for an error, as Fiber's logger does. Handlers that need to see
// errors must be mounted inside it.
//
// A stream (SendStreamWriter, server-sent events) and a WebSocket start after
// the header has been decided. A later change to a session in cookies fails
// with [session.ErrLate]; for a session in a store, call Session.Save. The
// session may be used in streams and goroutines, because it holds nothing of
// Fiber's context. Get it before they start:
//
//	app.Get("/ws", func(c fiber.Ctx) error {
//		s := session.From(c)
//		return websocket.New(func(conn *websocket.Conn) { … s … })(c)
//	})
//
// Middleware that rewrites cookies (encryptcookie) must also be mounted
// inside.
package fibersession
