package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/session"
)

// Handler returns a handler that calls next with a session in the request's
// context; next gets the session by [session.From]. If next never uses the
// session, the cost is two allocations and the response is unchanged. Wrapping a
// handler twice with the same Sessions has the effect of wrapping it once.
// Different Sessions can be nested.
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

// prefetch reports whether Sec-Purpose says that the request is a prefetch. The
// field is a structured item that begins with a token.
func prefetch(lines []string) bool {
	return len(lines) > 0 && strings.HasPrefix(lines[0], "prefetch")
}

// Loaded is [Sessions.Handler] for routes that must not treat a visitor whose
// session failed to load as one without a session. It loads the session before
// next runs. If the load fails, ErrorHandler answers and next does not run.
func (m *Sessions) Loaded(next http.Handler) http.Handler {
	return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.From(r.Context()).Load(r.Context()); err != nil {
			return // the commit fails too, and ErrorHandler answers
		}
		next.ServeHTTP(w, r)
	}))
}

// From returns the session that this Sessions put into ctx. Use it instead of
// [session.From] if several Sessions are nested. It panics if ctx has no session
// of this Sessions.
func (m *Sessions) From(ctx context.Context) *session.Session {
	if x := m.exchange(ctx); x != nil {
		return &x.session
	}
	panic("carryon: Sessions.From: the context has no session of this Sessions; " +
		"wrap the route's handler with Sessions.Handler, and pass r.Context() on")
}

// Limits returns the limits in force: the platform's, and what Config.Limits
// overrides. Adapters compare them with the limits of their server.
func (m *Sessions) Limits() Limits { return m.limits }
