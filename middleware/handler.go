package middleware

import (
	"maps"
	"net/http"
	"strings"
)

// httpExchange is an Exchange with the state that net/http needs, in one
// allocation.
type httpExchange struct {
	Exchange
	rw      http.ResponseWriter // the underlying writer
	request *http.Request       // the request that the handler gets
	outer   http.Header         // the header's fields before the handler ran; nil if there were none
	header  *headerState        // nil while the handler may change the header
	value   [1]string           // buffer for the value of Vary
}

// serve calls the handler and commits the session.
func (w *writer) serve(rw http.ResponseWriter, r *http.Request, next http.Handler) {
	x := &w.x
	if h := rw.Header(); len(h) > 0 {
		x.outer = h.Clone()
	}
	x.rw = rw
	x.request = r.WithContext(&x.Exchange)
	returned := false
	defer func() {
		if !returned && x.header == committed {
			x.finishAfterPanic(x)
		}
	}()
	next.ServeHTTP(w, x.request)
	returned = true
	// A panic does not reach this line: it commits nothing and propagates.
	_ = w.finish()
	if x.state.Load() != nil { // without state, nothing can have been changed late
		_ = x.Finish(x)
	}
	x.copyToOuterRequest(r)
}

// copyToOuterRequest copies to the outer request r the fields that the handler has
// set and that outer code reads: the server removes the files of a parsed form, and
// loggers read the route's pattern.
func (x *httpExchange) copyToOuterRequest(r *http.Request) {
	if r.MultipartForm == nil {
		r.MultipartForm = x.request.MultipartForm
	}
	if r.Pattern == "" {
		r.Pattern = x.request.Pattern
	}
}

// commit adds the session's fields to the header. If that fails, it sends an error
// page instead of the handler's response.
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
	fields, err := x.commitSession(x, Response{Status: status, CacheControl: strings.Join(h["Cache-Control"], ", "),
		prefetch: prefetch(x.request.Header["Sec-Purpose"])})
	if err != nil {
		x.fail(err)
		return err
	}
	x.apply(&fields, h)
	return nil
}

// apply adds the fields to h. New values of Vary and Cache-Control are stored in
// the exchange, which saves an allocation.
func (x *httpExchange) apply(f *Fields, h http.Header) {
	if have := h["Set-Cookie"]; len(have) > 0 {
		h["Set-Cookie"] = append(have, f.SetCookie...)
	} else if len(f.SetCookie) > 0 {
		h["Set-Cookie"] = f.SetCookie
	}
	if f.Vary {
		vary(h, &x.value)
	}
	if f.CacheControl != "" { // only requestState sets CacheControl, so the state exists
		value := &x.state.Load().value
		value[0] = f.CacheControl
		h["Cache-Control"] = value[:]
	}
}

// fail answers by ErrorHandler, which gets the underlying writer and none of the
// handler's header fields.
func (x *httpExchange) fail(err error) {
	h := x.rw.Header()
	clear(h)
	maps.Copy(h, x.outer)
	vary(h, &x.value)
	h.Set("Cache-Control", "private, no-store")
	x.sessions.config.ErrorHandler(x.rw, x.request, err)
}
