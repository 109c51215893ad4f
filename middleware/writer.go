package middleware

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// writer is the ResponseWriter that handlers get. It commits the session once,
// before the first byte of the response. It implements the optional interfaces
// that handlers commonly look for; the others are reached through Unwrap. The
// writer contains the exchange, so that both are one allocation.
type writer struct{ x httpExchange }

// headerState is the state of a response's header.
type headerState struct {
	err error // the error of the failed commit, which every later call returns
}

var (
	committed = &headerState{} // the commit has succeeded
	hijacked  = &headerState{} // the handler has taken over the connection
	// committing is the state while the commit runs. If the commit or the
	// ErrorHandler panics and the handler recovers, nothing more is sent.
	committing = &headerState{errors.New("carryon: the session's commit panicked, so the response is not sent; see the panic's stack trace")}
)

// begin commits the session if it is not yet committed.
func (w *writer) begin(status int) error {
	x := &w.x
	if x.header == nil {
		x.header = committing
		if err := x.commit(status); err != nil {
			x.header = &headerState{err}
		} else {
			x.header = committed
		}
	}
	return x.header.err
}

// err returns the error of the commit, or nil if the commit has succeeded or has
// not begun.
func (w *writer) err() error {
	if w.x.header == nil {
		return nil
	}
	return w.x.header.err
}

// finish commits the session when the handler has returned.
func (w *writer) finish() error {
	if w.x.header == hijacked {
		return nil
	}
	return w.begin(http.StatusOK)
}

// Header returns the response's header. After a failed commit it returns an empty
// header that is not sent.
func (w *writer) Header() http.Header {
	if w.err() != nil {
		return http.Header{}
	}
	return w.x.rw.Header()
}

// WriteHeader commits at the first final status and at 101, which no other status
// follows. Informational statuses (103 Early Hints) pass without a commit. So do
// invalid ones: the server panics at them, and a panic commits nothing.
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

// ReadFrom commits and copies r. It uses the underlying writer's ReadFrom
// (sendfile) if there is one.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(http.StatusOK); err != nil {
		return 0, err
	}
	if to, ok := w.x.rw.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w.x.rw}, r)
}

// Flush is FlushError for handlers that expect an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError commits and flushes, but only if the underlying writer can flush: a
// flush that fails must not commit the session.
func (w *writer) FlushError() error {
	if w.err() == nil && !canFlush(w.x.rw) {
		return http.ErrNotSupported
	}
	if err := w.begin(http.StatusOK); err != nil {
		return err
	}
	return http.NewResponseController(w.x.rw).Flush()
}

// canFlush reports whether rw, or a writer that it wraps, can flush.
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

// Hijack hijacks the connection and then commits. If the underlying writer cannot
// hijack (HTTP/2), nothing is committed and the handler can still answer.
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

// commitHijacked leaves the fields in the header map. The handler writes the
// response itself and can take them from there. An error page can no longer be
// sent, so a failed commit is only an event.
func (w *writer) commitHijacked() {
	x := &w.x
	fields, err := x.Commit(x, Response{Status: http.StatusSwitchingProtocols})
	if err != nil {
		return // Commit has reported the error
	}
	x.apply(&fields, x.rw.Header())
	if len(fields.SetCookie) > 0 {
		x.observe(x, Event{Kind: EventHijacked, Set: len(fields.SetCookie)})
	}
}

// CloseNotify implements http.CloseNotifier for frameworks that still need it:
// without it, gin's Stream panics.
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

// Unwrap returns the underlying writer, for http.ResponseController: deadlines and
// full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.x.rw }
