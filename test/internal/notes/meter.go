package notes

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// Headers are the largest sizes of requests and responses so far.
type Headers struct {
	Requests       int
	RequestBytes   int // value of the Cookie header
	Cookies        int
	ResponseBytes  int // Set-Cookie lines, with the field names
	SetCookieLines int
	CookieBytes    int // value of one Set-Cookie field, with attributes
	Refused        map[reason.Reason]int
	Events         map[middleware.EventKind]int
}

// A Meter reads the headers at the program's socket. It is safe for concurrent
// use.
type Meter struct {
	mu   sync.Mutex
	most Headers
}

// Most returns the largest sizes since the last Reset.
func (m *Meter) Most() Headers {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := m.most
	most.Refused, most.Events = maps.Clone(most.Refused), maps.Clone(most.Events)
	return most
}

// Reset discards the measurements.
func (m *Meter) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.most = Headers{}
}

func (m *Meter) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.request(r.Header["Cookie"])
		next.ServeHTTP(w, r)
		m.response(w.Header()["Set-Cookie"])
	})
}

func (m *Meter) request(lines []string) {
	field := strings.Join(lines, "; ")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.most.Requests++
	m.most.RequestBytes = max(m.most.RequestBytes, len(field))
	m.most.Cookies = max(m.most.Cookies, strings.Count(field, "="))
}

func (m *Meter) response(lines []string) {
	total := 0
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range lines {
		total += len("Set-Cookie: ") + len(line) + len("\r\n")
		m.most.CookieBytes = max(m.most.CookieBytes, len(line))
	}
	m.most.ResponseBytes = max(m.most.ResponseBytes, total)
	m.most.SetCookieLines = max(m.most.SetCookieLines, len(lines))
}

func (m *Meter) observe(_ context.Context, e middleware.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.most.Events == nil {
		m.most.Events = map[middleware.EventKind]int{}
	}
	m.most.Events[e.Kind]++
	if e.Kind != middleware.EventRefused {
		return
	}
	if m.most.Refused == nil {
		m.most.Refused = map[reason.Reason]int{}
	}
	m.most.Refused[e.Reason]++
}
