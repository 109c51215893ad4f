package fibersession

import (
	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// New returns a handler that gives every request of app a session. Mount it
// before the routes, with app.Use(handler) or on a group. Mounting the same
// Sessions again inside has no effect; different Sessions nest. If no handler
// uses the session, the response is unchanged.
//
// New fails if the app reads less of a request than the sessions may need. If
// another server reads for the app (your own fasthttp.Server, or an adapter),
// set ReadBufferSize to the size that it reads.
func New(app *fiber.App, sessions *middleware.Sessions) (fiber.Handler, error) {
	if err := check(app.Config().ReadBufferSize, sessions.Limits().RequestBytes); err != nil {
		return nil, err
	}
	return func(c fiber.Ctx) error {
		if c.Value(sessions) != nil {
			return c.Next() // the request already has this session
		}
		return serve(c, sessions)
	}, nil
}

// Load is a handler for routes that must not treat a failed load as a missing
// session. It loads the session before the next handler. If that fails, the
// app's ErrorHandler responds.
func Load(c fiber.Ctx) error {
	if session.From(c).Load(c.Context()) != nil {
		return nil // the commit reports it
	}
	return c.Next()
}

func serve(c fiber.Ctx, m *middleware.Sessions) error {
	var outer fasthttp.ResponseHeader // the header before the handlers run
	c.Response().Header.CopyTo(&outer)
	parent := c.Context()
	ctx, x := m.Begin(parent, request(c))
	restore := enter(c, m, x)
	c.SetContext(ctx)

	err := c.Next()
	// A panic skips the rest: it propagates and commits nothing.
	if c.IsAbandoned() && parent.Err() != nil {
		return err // an outer timeout has responded, so nothing of this is sent
	}
	if err != nil && !c.IsAbandoned() {
		handleError(c, err)
		err = nil
	}
	if failed := commit(c, x, &outer); failed != nil {
		err = failed
	}
	_ = x.Finish(x)
	restore()
	return err
}

// enter stores the session where session.From(c) and Sessions.From(c) look for
// it. restore brings back the session of an outer handler.
func enter(c fiber.Ctx, m *middleware.Sessions, x *middleware.Exchange) (restore func()) {
	parent, values := c.Context(), c.RequestCtx()
	outer, nested := session.Lookup(c)
	values.SetUserValue(m, x)
	values.SetUserValue(session.ContextKey(), session.From(x))
	return func() {
		if nested && !c.IsAbandoned() {
			c.SetContext(parent)
			values.SetUserValue(session.ContextKey(), outer)
		}
	}
}

// handleError calls the app's ErrorHandler now instead of after all handlers.
// So the error page can use the session, and its status is part of the commit.
func handleError(c fiber.Ctx, err error) {
	if c.App().ErrorHandler(c, err) != nil {
		_ = c.SendStatus(fiber.StatusInternalServerError)
	}
}

// request copies the data that the session needs, because fasthttp reuses its
// buffers.
func request(c fiber.Ctx) middleware.Request {
	h := &c.Request().Header
	lines := h.PeekAll(fiber.HeaderCookie)
	if len(lines) == 0 {
		for range h.Cookies() { // also collects names in another case (DisableHeaderNormalizing)
			lines = h.PeekAll(fiber.HeaderCookie)
			break
		}
	}
	r := middleware.Request{Method: c.Method(), Prefetch: isPrefetch(h.Peek("Sec-Purpose"))}
	for _, line := range lines {
		r.Cookies = append(r.Cookies, string(line))
	}
	return r
}

// isPrefetch parses Sec-Purpose, a structured item that begins with a token.
func isPrefetch(purpose []byte) bool {
	const token = "prefetch"
	return len(purpose) >= len(token) && string(purpose[:len(token)]) == token
}
