package middleware

import (
	"maps"
	"net/http"
	"strings"
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
	returned := false
	defer func() {
		if !returned && x.header == accepted {
			x.abandon(x)
		}
	}()
	next.ServeHTTP(w, x.request)
	returned = true
	// A panic does not come here: it commits nothing and goes on.
	_ = w.finish()
	if x.state.Load() != nil { // else there is nothing that could have been changed late
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
	if x.state.Load() == nil {
		if asked, ok := x.core().Pass(); ok {
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
		value := &x.state.Load().value
		value[0] = f.CacheControl
		h["Cache-Control"] = value[:]
	}
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
