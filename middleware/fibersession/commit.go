package fibersession

import (
	"bytes"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/carryon-go/carryon/middleware"
)

// commit adds the session's fields to the response. If the commit fails, it
// discards the handlers' response and returns an error for the app's
// ErrorHandler.
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

// response returns the response that will be sent. If the timeout middleware
// has responded for a handler that is still running, that is not Fiber's own
// response, to which the handler writes.
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

// vary adds Cookie to a single Vary line, because Fiber's own code reads only
// one.
func vary(h *fasthttp.ResponseHeader) {
	var lines []string
	for _, line := range h.PeekAll(fiber.HeaderVary) {
		lines = append(lines, string(line))
	}
	set(h, fiber.HeaderVary, strings.Join(middleware.AddVary(lines), ", "))
}

// set replaces all lines of a field. Header.Set replaces only the first.
func set(h *fasthttp.ResponseHeader, name, value string) {
	h.Del(name)
	h.Set(name, value)
}

// refuse discards everything that the handlers set: body, header fields,
// streams and upgrades.
func refuse(c fiber.Ctx, outer *fasthttp.ResponseHeader, err error) error {
	r := response(c)
	r.Reset()
	outer.CopyTo(&r.Header)
	c.RequestCtx().Hijack(nil)
	apply(&r.Header, middleware.Fields{Vary: true, CacheControl: "private, no-store"})
	status := middleware.StatusOf(err)
	f := failure{fiber.NewError(status, publicText(status)), err}
	if r != c.Response() { // Fiber's ErrorHandler does not write to this response
		r.SetStatusCode(f.answer.Code)
		r.SetBodyString(publicText(status))
	}
	return &f
}

// publicText is the text that Fiber's default ErrorHandler shows the visitor.
// It suggests a retry only if that can help.
func publicText(status int) string {
	if status == fiber.StatusInternalServerError {
		return "the session could not be saved"
	}
	return "the session could not be saved; please try again"
}

// failure is the error of a commit for an ErrorHandler. errors.As finds a
// *fiber.Error whose text shows visitors no details. errors.Is finds the
// cause.
type failure struct {
	answer *fiber.Error
	cause  error
}

func (f *failure) Error() string   { return f.answer.Message }
func (f *failure) Unwrap() []error { return []error{f.answer, f.cause} }
