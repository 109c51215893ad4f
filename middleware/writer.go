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
// has what handlers look for and no more; the rest is behind Unwrap.
type writer struct {
	rw       http.ResponseWriter
	x        *httpExchange
	begun    bool  // the header is decided: committed, failed or hijacked
	hijacked bool  // the connection is the handler's
	err      error // of the failed commit; every later call returns it
}

// errUnfinished stands for the commit's error while it runs, so that nothing
// gets out where it, or the ErrorHandler, panics and the handler goes on.
var errUnfinished = errors.New("carryon: the session's commit panicked; nothing of the response may be sent")

// begin commits, if that has not happened yet.
func (w *writer) begin(status int) error {
	if !w.begun {
		w.begun, w.err = true, errUnfinished
		w.err = w.x.commit(status)
	}
	return w.err
}

// finish commits for a handler that has written nothing.
func (w *writer) finish() error {
	if w.hijacked {
		return nil
	}
	return w.begin(http.StatusOK)
}

// Header returns the response's header; after a failed commit, one of nothing.
func (w *writer) Header() http.Header {
	if w.err != nil {
		return http.Header{}
	}
	return w.rw.Header()
}

// WriteHeader commits at the first final status, and at 101, after which there
// is no other. Informational ones (103 Early Hints) go through untouched, and
// so do impossible ones: the server panics, and a panic commits nothing.
func (w *writer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols || status > 999 {
		if w.err == nil {
			w.rw.WriteHeader(status)
		}
		return
	}
	if w.begin(status) == nil {
		w.rw.WriteHeader(status)
	}
}

// Write commits and writes.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	return w.rw.Write(p)
}

// WriteString commits and writes.
func (w *writer) WriteString(s string) (int, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	return io.WriteString(w.rw, s)
}

// ReadFrom commits and copies, with the underlying writer's own copy (sendfile)
// where it has one.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	if to, ok := w.rw.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w.rw}, r)
}

// Flush is FlushError for those who ask for an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError commits and flushes, but only where the underlying writer can:
// a failed attempt must not close the session.
func (w *writer) FlushError() error {
	if w.err == nil && !canFlush(w.rw) {
		return http.ErrNotSupported
	}
	if err := w.begin(http.StatusOK); err != nil {
		return err
	}
	return http.NewResponseController(w.rw).Flush()
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
	if w.err != nil {
		return nil, nil, w.err
	}
	conn, buf, err := http.NewResponseController(w.rw).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	if !w.begun {
		w.begun = true
		w.commitHijacked()
	}
	return conn, buf, nil
}

// commitHijacked leaves the fields in the header map: whoever hijacked writes
// the response by hand and may take them from there. There is no error page to
// send any more, so a failed commit is an event.
func (w *writer) commitHijacked() {
	fields, err := w.x.Commit(w.x, Response{Status: http.StatusSwitchingProtocols})
	if err != nil {
		return // observed by Commit
	}
	fields.apply(w.rw.Header(), &w.x.values)
	if len(fields.SetCookie) > 0 {
		w.x.observe(w.x, Event{Kind: EventHijacked, Set: len(fields.SetCookie)})
	}
}

// CloseNotify is for frameworks that still ask for it (gin's Stream panics
// without).
//
// Deprecated: use the request's context.
func (w *writer) CloseNotify() <-chan bool {
	if n, ok := w.rw.(http.CloseNotifier); ok {
		return n.CloseNotify()
	}
	gone := make(chan bool, 1)
	context.AfterFunc(w.x.request.Context(), func() { gone <- true })
	return gone
}

// Unwrap is for http.ResponseController: deadlines and full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.rw }
