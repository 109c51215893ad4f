package fibersession

import (
	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// New returns the handler that gives every request of app a session. Use it
// before the routes: app.Use(handler), or on a group. Mounting the same Sessions
// again further in does nothing; different ones nest. A handler that never asks
// for the session sends nothing of ours.
//
// It is an error if the app reads less of a request than the sessions may grow to.
// An app behind a fasthttp.Server of the program's own, or behind an adapter that
// reads for it, says in its ReadBufferSize what those read.
func New(app *fiber.App, sessions *middleware.Sessions) (fiber.Handler, error) {
	if err := check(app.Config().ReadBufferSize, sessions.Limits().RequestBytes); err != nil {
		return nil, err
	}
	return func(c fiber.Ctx) error {
		if c.Value(sessions) != nil {
			return c.Next() // it has one
		}
		return serve(c, sessions)
	}, nil
}

// Load is a handler for routes that must not take a failed load for an absent
// session: it loads the session before the next handler runs, and the app's
// ErrorHandler answers where that fails.
func Load(c fiber.Ctx) error {
	if session.From(c).Load(c.Context()) != nil {
		return nil // the commit reports it
	}
	return c.Next()
}

func serve(c fiber.Ctx, m *middleware.Sessions) error {
	var outer fasthttp.ResponseHeader // as it was before the handlers
	c.Response().Header.CopyTo(&outer)
	parent := c.Context()
	ctx, x := m.Begin(parent, request(c))
	restore := enter(c, m, x)
	c.SetContext(ctx)

	err := c.Next()
	// A panic does not come here: it commits nothing and goes on.
	if c.IsAbandoned() && parent.Err() != nil {
		return err // a timeout further out has answered, and nothing of this is sent
	}
	if err != nil && !c.IsAbandoned() {
		answer(c, err)
		err = nil
	}
	if failed := commit(c, x, &outer); failed != nil {
		err = failed
	}
	_ = x.Finish(x)
	restore()
	return err
}

// enter puts the session where session.From(c) and Sessions.From(c) look for it,
// and returns what gives the place back to the session of a handler further out.
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

// answer has the app's ErrorHandler answer now, as it would when all handlers have
// returned: its page may use the session, and its status decides with.
func answer(c fiber.Ctx, err error) {
	if c.App().ErrorHandler(c, err) != nil {
		_ = c.SendStatus(fiber.StatusInternalServerError)
	}
}

// request copies what the session needs: fasthttp uses the buffers again.
func request(c fiber.Ctx) middleware.Request {
	h := &c.Request().Header
	lines := h.PeekAll(fiber.HeaderCookie)
	if len(lines) == 0 {
		for range h.Cookies() { // gathers also those of another spelling (DisableHeaderNormalizing)
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

// isPrefetch reads Sec-Purpose (a structured item that begins with a token).
func isPrefetch(purpose []byte) bool {
	const token = "prefetch"
	return len(purpose) >= len(token) && string(purpose[:len(token)]) == token
}
