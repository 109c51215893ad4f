package lambdasession

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ErrTooLarge is returned by a handler's Write if the answer exceeds the
// platform's limit. The visitor then gets a 502, and the error is logged.
var ErrTooLarge = errors.New("the answer has more than Lambda takes: 6 MB, or 1 MB behind an Application Load Balancer (a quarter less in base64); " +
	"stream it from a function URL (option Stream), or redirect to a file in a store such as S3")

// mostBytes returns the maximum size of an answer in JSON: 6 MB for Lambda, 1
// MB for a load balancer.
func mostBytes(s Shape) int {
	if s == ALB {
		return 1 << 20
	}
	return 6 << 20
}

// writer is the http.ResponseWriter of one request. It writes to a page, or
// through a buffer to a stream.
type writer struct {
	to     io.Writer
	flush  func() error // nil if the answer is buffered
	header http.Header
	status int         // 0: the response has not started
	sent   http.Header // the header when the response started
}

func newWriter(to io.Writer) *writer { return &writer{to: to, header: http.Header{}} }

// Header returns the response's header. Changes after the start of the
// response have no effect.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader starts the response. Informational responses are dropped.
func (w *writer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("lambdasession: invalid status %d", status))
	}
	if w.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

// Write writes a part of the body, and starts the response if necessary.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !hasBody(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	return w.to.Write(p)
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Flush implements http.Flusher; see FlushError.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError starts the response. If the answer streams, it also sends the
// data so far.
func (w *writer) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.flush == nil {
		return nil
	}
	return w.flush()
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// page buffers an answer.
type page struct {
	body []byte
	size int  // number of bytes written
	most int  // limit for body
	head bool // HEAD: only the beginning is kept, to detect the type
	full bool // the limit was exceeded
}

const sniffed = 512 // the prefix that http.DetectContentType reads

func (p *page) Write(b []byte) (int, error) {
	p.size += len(b)
	switch {
	case p.head:
		p.body = append(p.body, b[:min(len(b), sniffed-min(sniffed, len(p.body)))]...)
	case p.full || len(b) > p.most-len(p.body):
		p.full, p.body = true, nil
		return 0, ErrTooLarge
	default:
		p.body = append(p.body, b...)
	}
	return len(b), nil
}

// response is an answer in terms of HTTP.
type response struct {
	status  int
	header  http.Header // without Set-Cookie
	cookies []string    // Set-Cookie lines
	body    []byte
}

// response returns the handler's response.
func (w *writer) response(p *page) *response {
	w.WriteHeader(http.StatusOK)
	r := w.head(p.body)
	r.body = p.body
	if p.head {
		r.body = nil
		if hasBody(r.status) && r.header.Get("Content-Length") == "" {
			r.header.Set("Content-Length", strconv.Itoa(p.size))
		}
	} else {
		delete(r.header, "Content-Length") // the platform sets its own and renames this one
	}
	return r
}

// head returns the response without its body. The beginning of the body
// determines the type.
func (w *writer) head(beginning []byte) *response {
	r := &response{status: w.status, header: http.Header{}}
	for name, values := range w.sent {
		if len(values) > 0 && isToken(name) && !leftOut(name, w.sent["Trailer"]) {
			r.header[name] = clean(values)
		}
	}
	r.cookies = r.header["Set-Cookie"]
	delete(r.header, "Set-Cookie")
	_, typed := w.sent["Content-Type"]
	if !typed && hasBody(r.status) && len(beginning) > 0 && r.header.Get("Content-Encoding") == "" {
		r.header.Set("Content-Type", http.DetectContentType(beginning))
	}
	return r
}

// clean replaces line breaks in values, as net/http does, because a line break
// would end the field.
func clean(values []string) []string {
	values = slices.Clone(values)
	for i, v := range values {
		values[i] = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(v))
	}
	return values
}

// leftOut reports whether a field is dropped: those about the connection,
// which belongs to the platform, and trailers.
func leftOut(name string, trailers []string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Trailer", "Te":
		return true
	}
	if strings.HasPrefix(name, http.TrailerPrefix) {
		return true
	}
	for _, line := range trailers {
		for trailer := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(trailer), name) {
				return true
			}
		}
	}
	return false
}

// plain returns a text response with the name of its status.
func plain(status int) *response {
	return &response{status: status, body: []byte(http.StatusText(status) + "\n"), header: http.Header{
		"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"},
	}}
}

// joined returns a header in which every field occurs once.
func joined(h http.Header) map[string]string {
	all := make(map[string]string, len(h))
	for name, values := range h {
		if len(values) > 0 {
			all[name] = strings.Join(values, ", ")
		}
	}
	return all
}

// multi returns a header in which fields can occur several times.
func multi(r *response) map[string][]string {
	all := make(map[string][]string, len(r.header)+1)
	maps.Copy(all, r.header)
	if len(r.cookies) > 0 {
		all["Set-Cookie"] = r.cookies
	}
	return all
}
