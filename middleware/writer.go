package middleware

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// writer commits the session before the first byte of the response, once. It
// has what handlers look for and no more; the rest is behind Unwrap. It is the
// exchange by another name, so that both are one allocation.
type writer struct{ x httpExchange }

// decision is what has become of a response's header.
type decision struct {
	err error // of the failed commit; every later call returns it
}

var (
	accepted = &decision{} // the commit went well
	hijacked = &decision{} // the connection is the handler's
	// unfinished stands while the commit runs, so that nothing gets out where it, or
	// the ErrorHandler, panics and the handler goes on.
	unfinished = &decision{errors.New("carryon: the session's commit panicked; nothing of the response may be sent")}
)

// begin commits, if that has not happened yet.
func (w *writer) begin(status int) error {
	x := &w.x
	if x.header == nil {
		x.header = unfinished
		if err := x.commit(status); err != nil {
			x.header = &decision{err}
		} else {
			x.header = accepted
		}
	}
	return x.header.err
}

// err is that of the failed commit, if it has failed.
func (w *writer) err() error {
	if w.x.header == nil {
		return nil
	}
	return w.x.header.err
}

// finish commits for a handler that has written nothing.
func (w *writer) finish() error {
	if w.x.header == hijacked {
		return nil
	}
	return w.begin(http.StatusOK)
}

// Header returns the response's header; after a failed commit, one of nothing.
func (w *writer) Header() http.Header {
	if w.err() != nil {
		return http.Header{}
	}
	return w.x.rw.Header()
}

// WriteHeader commits at the first final status, and at 101, after which there
// is no other. Informational ones (103 Early Hints) go through untouched, and
// so do impossible ones: the server panics, and a panic commits nothing.
func (w *writer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols || status > 999 {
		if w.err() == nil {
			w.x.rw.WriteHeader(status)
		}
		return
	}
	if w.begin(status) == nil {
		w.x.rw.WriteHeader(status)
	}
}

// Write commits and writes.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	return w.x.rw.Write(p)
}

// WriteString commits and writes.
func (w *writer) WriteString(s string) (int, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	return io.WriteString(w.x.rw, s)
}

// ReadFrom commits and copies, with the underlying writer's own copy (sendfile)
// where it has one.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	if to, ok := w.x.rw.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w.x.rw}, r)
}

// Flush is FlushError for those who ask for an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError commits and flushes, but only where the underlying writer can:
// a failed attempt must not close the session.
func (w *writer) FlushError() error {
	if w.err() == nil && !canFlush(w.x.rw) {
		return http.ErrNotSupported
	}
	if err := w.begin(http.StatusOK); err != nil {
		return err
	}
	return http.NewResponseController(w.x.rw).Flush()
}

func canFlush(rw http.ResponseWriter) bool {
	for {
		switch t := rw.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			rw = t.Unwrap()
		default:
			return false
		}
	}
}

// Hijack asks the underlying writer first and commits only if it succeeds, so
// that a handler can still answer where it does not (HTTP/2).
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.err(); err != nil {
		return nil, nil, err
	}
	conn, buf, err := http.NewResponseController(w.x.rw).Hijack()
	if err != nil {
		return nil, nil, err
	}
	begun := w.x.header != nil
	if w.x.header = hijacked; !begun {
		w.commitHijacked()
	}
	return conn, buf, nil
}

// commitHijacked leaves the fields in the header map: whoever hijacked writes
// the response by hand and may take them from there. There is no error page to
// send any more, so a failed commit is an event.
func (w *writer) commitHijacked() {
	x := &w.x
	fields, err := x.Commit(x, Response{Status: http.StatusSwitchingProtocols})
	if err != nil {
		return // observed by Commit
	}
	x.apply(&fields, x.rw.Header())
	if len(fields.SetCookie) > 0 {
		x.observe(x, Event{Kind: EventHijacked, Set: len(fields.SetCookie)})
	}
}

// CloseNotify is for frameworks that still ask for it (gin's Stream panics
// without).
//
// Deprecated: use the request's context.
func (w *writer) CloseNotify() <-chan bool {
	if n, ok := w.x.rw.(http.CloseNotifier); ok {
		return n.CloseNotify()
	}
	gone := make(chan bool, 1)
	context.AfterFunc(w.x.request.Context(), func() { gone <- true })
	return gone
}

// Unwrap is for http.ResponseController: deadlines and full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.x.rw }
