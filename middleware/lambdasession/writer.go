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

// ErrTooLarge is what a handler's Write returns when the answer has more than
// the platform takes; the visitor gets a 502 then, and the log this sentence.
var ErrTooLarge = errors.New("the answer has more than Lambda takes, 6 MB (behind an Application Load Balancer 1 MB), in base64 a quarter less; " +
	"stream it from a function URL (option Stream), or send the visitor to where it is stored")

// mostBytes is what an answer of a shape may have, in JSON: Lambda's 6 MB and
// the load balancer's 1 MB.
func mostBytes(s Shape) int {
	if s == ALB {
		return 1 << 20
	}
	return 6 << 20
}

// writer is the http.ResponseWriter of one request. It writes to a page, or
// to a stream through a buffer.
type writer struct {
	to     io.Writer
	flush  func() error // nil where nothing leaves before the end
	header http.Header
	status int         // 0: the response has not begun
	sent   http.Header // the header when it began
}

func newWriter(to io.Writer) *writer { return &writer{to: to, header: http.Header{}} }

// Header is the response's header; changes count until the response begins.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader begins the response. Informational ones cannot be sent.
func (w *writer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("lambdasession: %d is no status of a response", status))
	}
	if w.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

// Write writes a part of the body, and begins the response.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !hasBody(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	return w.to.Write(p)
}

// WriteString is for io.WriteString.
func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Flush is FlushError for those who ask for an http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError begins the response, and sends what was written where the answer
// streams. Elsewhere nothing leaves before the handler returns.
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

// page holds an answer back.
type page struct {
	body []byte
	size int  // of all that was written
	most int  // of body
	head bool // nobody will read it: the beginning is kept, for its type
	full bool // more was written than may be
}

const sniffed = 512 // what http.DetectContentType looks at

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

// response is an answer, in the terms of HTTP.
type response struct {
	status  int
	header  http.Header // without Set-Cookie
	cookies []string    // Set-Cookie lines
	body    []byte
}

// response is what the handler wrote.
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
		delete(r.header, "Content-Length") // the platform counts, and remaps ours
	}
	return r
}

// head is the response without its body, whose beginning tells its type.
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

// clean does with values as net/http does when it writes them: a line break
// would end the field.
func clean(values []string) []string {
	values = slices.Clone(values)
	for i, v := range values {
		values[i] = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(v))
	}
	return values
}

// leftOut are the fields that are about the connection, which is the
// platform's, and the trailers.
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

// plain is an answer that says its status.
func plain(status int) *response {
	return &response{status: status, body: []byte(http.StatusText(status) + "\n"), header: http.Header{
		"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"},
	}}
}

// joined is a header of fields that stand once.
func joined(h http.Header) map[string]string {
	all := make(map[string]string, len(h))
	for name, values := range h {
		if len(values) > 0 {
			all[name] = strings.Join(values, ", ")
		}
	}
	return all
}

// multi is a header in which fields stand as often as they were set.
func multi(r *response) map[string][]string {
	all := make(map[string][]string, len(r.header)+1)
	maps.Copy(all, r.header)
	if len(r.cookies) > 0 {
		all["Set-Cookie"] = r.cookies
	}
	return all
}
