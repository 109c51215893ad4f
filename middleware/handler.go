package middleware

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/session"
)

// httpExchange is one request under net/http: the exchange, its writer and the
// request, in one allocation.
type httpExchange struct {
	Exchange
	writer  writer
	request *http.Request
	outer   http.Header // what was in the header before the handler; nil if nothing
	values  [2]string   // of Vary and Cache-Control in the header
}

func (x *httpExchange) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if h := w.Header(); len(h) > 0 {
		x.outer = h.Clone()
	}
	x.writer = writer{rw: w, x: x}
	x.request = r.WithContext(&x.Exchange)
	next.ServeHTTP(&x.writer, x.request)
	// A panic does not come here: it commits nothing and goes on.
	_ = x.writer.finish()
	if x.work.Load() != nil { // else there is nothing that could have been changed late
		_ = x.Finish(x)
	}
	x.giveBack(r)
}

// giveBack lets the request outside learn what the server and others look for
// in it: the server removes the files of a parsed form from there, and
// loggers read the pattern of the route.
func (x *httpExchange) giveBack(r *http.Request) {
	if r.MultipartForm == nil {
		r.MultipartForm = x.request.MultipartForm
	}
	if r.Pattern == "" {
		r.Pattern = x.request.Pattern
	}
}

// commit puts the session's fields into the header, or answers with an error
// page in place of the handler's response.
func (x *httpExchange) commit(status int) error {
	if x.work.Load() == nil {
		if asked, ok := x.pass(); ok {
			if asked {
				vary(x.writer.rw.Header(), x.values[0:1:1])
			}
			return nil
		}
	}
	h := x.writer.rw.Header()
	fields, err := x.decide(x, Response{Status: status, CacheControl: strings.Join(h["Cache-Control"], ", "),
		prefetch: prefetch(x.request.Header["Sec-Purpose"])})
	if err != nil {
		x.fail(err)
		return err
	}
	fields.apply(h, &x.values)
	return nil
}

// apply puts the fields into h; the values of what h lacks live in room.
func (f *Fields) apply(h http.Header, room *[2]string) {
	if have := h["Set-Cookie"]; len(have) > 0 {
		h["Set-Cookie"] = append(have, f.SetCookie...)
	} else if len(f.SetCookie) > 0 {
		h["Set-Cookie"] = f.SetCookie
	}
	if f.Vary {
		vary(h, room[0:1:1])
	}
	if f.CacheControl != "" {
		room[1] = f.CacheControl
		h["Cache-Control"] = room[1:2:2]
	}
}

// vary adds Cookie to Vary; the value of a header that has none lives in room.
func vary(h http.Header, room []string) {
	switch have := h["Vary"]; {
	case have == nil:
		room[0] = "Cookie"
		h["Vary"] = room
	case !varies(have):
		h["Vary"] = append(have, "Cookie")
	}
}

func varies(lines []string) bool {
	for _, line := range lines {
		for field := range strings.SplitSeq(line, ",") {
			if f := trim(field); f == "*" || strings.EqualFold(f, "Cookie") {
				return true
			}
		}
	}
	return false
}

// fail answers by ErrorHandler, which gets the writer below ours and none of
// the handler's headers.
func (x *httpExchange) fail(err error) {
	h := x.writer.rw.Header()
	clear(h)
	maps.Copy(h, x.outer)
	vary(h, x.values[0:1:1])
	h.Set("Cache-Control", "private, no-store")
	x.sessions.ErrorHandler(x.writer.rw, x.request, err)
}

// answerError is the default ErrorHandler.
func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusInternalServerError
	for _, passing := range []error{session.ErrUnknownKey, session.ErrNoKey, session.ErrStoreDown} {
		if errors.Is(err, passing) {
			status = http.StatusServiceUnavailable // a new ring mends these, or a store that is back
		}
	}
	if errors.Is(err, session.ErrEnded) {
		status = http.StatusConflict // the request may be sent again
	}
	http.Error(w, http.StatusText(status)+": the session could not be kept; please try again", status)
}
