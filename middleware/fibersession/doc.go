// Package fibersession puts a visitor's session behind a Fiber app (v3).
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
// Fiber reads 4,096 bytes of request line and header by default, and answers 431
// to more, on every path: a browser with too many cookies is locked out until
// they end. So ReadBufferSize is to be raised, and [New] refuses an app that reads
// less than its sessions may grow to. [middleware.Fasthttp] is for who cannot
// raise it: six parallel writers then have 375 bytes each, which a login's id
// fits into and little else.
//
// # What differs from net/http
//
// Fiber sends a response when all handlers have returned, so that the session is
// committed then, after the app's ErrorHandler, which the handler of New calls for
// an error as Fiber's logger does. Handlers that are to see errors go inside of it.
//
// A stream (SendStreamWriter, server-sent events) and a WebSocket begin when the
// header is decided: what they write to a session that is in cookies comes too late
// ([session.ErrLate]); one that is in a store takes it with Session.Save. A
// session can be used there, and in goroutines, for it holds nothing of Fiber's
// context; take it before:
//
//	app.Get("/ws", func(c fiber.Ctx) error {
//		s := session.From(c)
//		return websocket.New(func(conn *websocket.Conn) { … s … })(c)
//	})
//
// Middleware that rewrites cookies (encryptcookie) goes inside as well.
package fibersession
