package middleware

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/session"
)

// httpExchange is one request under net/http: what is beside the exchange, in one
// allocation with it.
type httpExchange struct {
	Exchange
	rw      http.ResponseWriter // below ours
	request *http.Request       // the handler's
	outer   http.Header         // what was in the header before the handler; nil if nothing
	header  *decision           // what has become of the header; nil while the handler may change it
	value   [1]string           // of Vary in the header
}

func (w *writer) serve(rw http.ResponseWriter, r *http.Request, next http.Handler) {
	x := &w.x
	if h := rw.Header(); len(h) > 0 {
		x.outer = h.Clone()
	}
	x.rw = rw
	x.request = r.WithContext(&x.Exchange)
	next.ServeHTTP(w, x.request)
	// A panic does not come here: it commits nothing and goes on.
	_ = w.finish()
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
		if asked, ok := x.core.Pass(); ok {
			if asked {
				vary(x.rw.Header(), &x.value)
			}
			return nil
		}
	}
	h := x.rw.Header()
	fields, err := x.decide(x, Response{Status: status, CacheControl: strings.Join(h["Cache-Control"], ", "),
		prefetch: prefetch(x.request.Header["Sec-Purpose"])})
	if err != nil {
		x.fail(err)
		return err
	}
	x.apply(&fields, h)
	return nil
}

// apply puts the fields into h. The values of what h lacks live in the exchange.
func (x *httpExchange) apply(f *Fields, h http.Header) {
	if have := h["Set-Cookie"]; len(have) > 0 {
		h["Set-Cookie"] = append(have, f.SetCookie...)
	} else if len(f.SetCookie) > 0 {
		h["Set-Cookie"] = f.SetCookie
	}
	if f.Vary {
		vary(h, &x.value)
	}
	if f.CacheControl != "" { // who says so has worked for it
		value := &x.work.Load().value
		value[0] = f.CacheControl
		h["Cache-Control"] = value[:]
	}
}

// vary adds Cookie to Vary; the value of a header that has none lives in room.
func vary(h http.Header, room *[1]string) {
	switch have := h["Vary"]; {
	case have == nil:
		room[0] = "Cookie"
		h["Vary"] = room[:]
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
	h := x.rw.Header()
	clear(h)
	maps.Copy(h, x.outer)
	vary(h, &x.value)
	h.Set("Cache-Control", "private, no-store")
	x.sessions.ErrorHandler(x.rw, x.request, err)
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
