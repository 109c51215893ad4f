package fibersession

import (
	"bytes"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// commit puts the session's fields into the response, or takes the handlers'
// response back and returns the error that the app's ErrorHandler is to answer.
func commit(c fiber.Ctx, x *middleware.Exchange, outer *fasthttp.ResponseHeader) error {
	r := response(c)
	fields, err := x.Commit(x, middleware.Response{
		Status:       r.StatusCode(),
		CacheControl: string(bytes.Join(r.Header.PeekAll(fiber.HeaderCacheControl), []byte(", "))),
	})
	if err != nil {
		return refuse(c, outer, err)
	}
	apply(&r.Header, fields)
	return nil
}

// response is what will be sent: not Fiber's own response where the timeout
// middleware has answered for a handler that still runs and writes to that.
func response(c fiber.Ctx) *fasthttp.Response {
	if c.IsAbandoned() {
		if r := c.RequestCtx().LastTimeoutErrorResponse(); r != nil {
			return r
		}
	}
	return c.Response()
}

func apply(h *fasthttp.ResponseHeader, f middleware.Fields) {
	for _, line := range f.SetCookie {
		h.Add(fiber.HeaderSetCookie, line)
	}
	if f.Vary {
		vary(h)
	}
	if f.CacheControl != "" {
		set(h, fiber.HeaderCacheControl, f.CacheControl)
	}
}

// vary adds Cookie to the one Vary line that Fiber's own code looks for.
func vary(h *fasthttp.ResponseHeader) {
	line := string(bytes.Join(h.PeekAll(fiber.HeaderVary), []byte(", ")))
	for field := range strings.SplitSeq(line, ",") {
		if f := strings.Trim(field, " \t"); f == "*" || strings.EqualFold(f, "Cookie") {
			return
		}
	}
	if line != "" {
		line += ", "
	}
	set(h, fiber.HeaderVary, line+"Cookie")
}

// set replaces all lines of a field: Header.Set leaves those after the first.
func set(h *fasthttp.ResponseHeader, name, value string) {
	h.Del(name)
	h.Set(name, value)
}

// refuse leaves nothing of what the handlers answered: neither body nor header
// fields, nor a stream, nor an upgrade.
func refuse(c fiber.Ctx, outer *fasthttp.ResponseHeader, err error) error {
	r := response(c)
	r.Reset()
	outer.CopyTo(&r.Header)
	c.RequestCtx().Hijack(nil)
	apply(&r.Header, middleware.Fields{Vary: true, CacheControl: "private, no-store"})
	f := failure{fiber.NewError(status(err), publicText), err}
	if r != c.Response() { // Fiber's ErrorHandler does not reach it
		r.SetStatusCode(f.answer.Code)
		r.SetBodyString(publicText)
	}
	return &f
}

// publicText is what Fiber's default ErrorHandler shows the visitor.
const publicText = "the session could not be kept; please try again"

// status is 503 where a new ring or a store that is back will mend it.
func status(err error) int {
	for _, passing := range []error{session.ErrUnknownKey, session.ErrNoKey, session.ErrStoreDown} {
		if errors.Is(err, passing) {
			return fiber.StatusServiceUnavailable
		}
	}
	return fiber.StatusInternalServerError
}

// failure is a commit's error as an ErrorHandler sees it: a *fiber.Error for
// errors.As, whose text tells visitors no details, and the cause for errors.Is.
type failure struct {
	answer *fiber.Error
	cause  error
}

func (f *failure) Error() string   { return f.answer.Message }
func (f *failure) Unwrap() []error { return []error{f.answer, f.cause} }
