package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/session"
)

// Handler returns next with a session in every request's context; handlers get
// it by [session.From]. A handler that never asks for it costs two allocations
// and sends nothing of ours. Mounting the same Sessions again further in does
// nothing; different ones nest.
func (m *Sessions) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.exchange(r.Context()) != nil {
			next.ServeHTTP(w, r)
			return
		}
		x := &writer{}
		m.begin(&x.x.Exchange, r.Context(), &Request{Method: r.Method, Cookies: r.Header["Cookie"], Prefetch: prefetch(r.Header["Sec-Purpose"])})
		x.serve(w, r, next)
	})
}

// prefetch reads Sec-Purpose (a structured item that begins with a token).
func prefetch(lines []string) bool {
	return len(lines) > 0 && strings.HasPrefix(lines[0], "prefetch")
}

// Loaded is Handler for routes that must not take a failed load for an absent
// session: it loads the session before next runs, and answers by ErrorHandler
// where that fails.
func (m *Sessions) Loaded(next http.Handler) http.Handler {
	return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.From(r.Context()).Load(r.Context()); err != nil {
			return // the commit at the handler's end answers
		}
		next.ServeHTTP(w, r)
	}))
}

// From returns the session that this Sessions put into ctx, where several are
// nested; it panics where there is none.
func (m *Sessions) From(ctx context.Context) *session.Session {
	if x := m.exchange(ctx); x != nil {
		return &x.session
	}
	panic("carryon: Sessions.From: this context did not pass this Sessions' Handler; " +
		"wrap the handler that serves this route, and pass r.Context() on")
}

// Limits are the numbers in force: the platform's, and what Config.Limits
// overrides. Adapters hold them against what their server takes.
func (m *Sessions) Limits() Limits { return m.limits }
