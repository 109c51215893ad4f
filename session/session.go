package session

import (
	"context"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// Session is one visitor's session during one request. Several goroutines may use
// it. Changes count until the response's header is written; later ones are refused
// with [ErrLate].
//
// A session that could not be loaded is not an empty session: reads return
// nothing, changes are dropped, [Session.Err] returns the reason, and the response
// becomes an error page.
//
// A Session must not be copied.
type Session struct {
	state core.Core
}

func init() { core.Of = func(s any) *core.Core { return s.(*Session).core() } }

func (s *Session) core() *core.Core { return &s.state }

// From returns the session that the innermost middleware put into ctx. It panics
// if there is none, because a route outside of the middleware is a mistake in the
// program. [Lookup] does not panic.
func From(ctx context.Context) *Session {
	if s, ok := Lookup(ctx); ok {
		return s
	}
	panic("carryon: session.From: this context has no session; wrap the handler that serves this route: " +
		"http.ListenAndServe(addr, sessions.Handler(mux)), and pass r.Context() on")
}

// Lookup returns the session that the innermost middleware put into ctx, and
// reports whether there is one.
func Lookup(ctx context.Context) (*Session, bool) {
	s, ok := ctx.Value(core.ContextKey{}).(*Session)
	return s, ok && s != nil
}

// NewContext returns a copy of ctx that carries s. Adapters of frameworks and tests
// use it.
func NewContext(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, core.ContextKey{}, s)
}

// ContextKey returns the key under which a context holds the *Session. Only adapters
// of frameworks whose context stores values by key need it; use [NewContext]
// elsewhere.
func ContextKey() any { return core.ContextKey{} }

// Load reads the session under ctx unless it has been read already. It returns nil
// if the session was read or the visitor has none, and otherwise the error of the
// first read. Call it first in handlers that must not mistake an outage of the
// store for a visitor without a login.
func (s *Session) Load(ctx context.Context) error { return s.core().Load(ctx) }

// Save writes the changes of a stored session to its record now. The changes of a
// session in cookies are written with the response's header; for these, Save only
// returns the error that the commit would return: nil, [ErrTooLarge], [ErrLate], or
// a value that cannot be encoded. To send the header before a long response, call
// Flush of http.ResponseController.
//
// A goroutine that changes a stored session after the handler has returned must
// call Save itself.
func (s *Session) Save(ctx context.Context) error { return s.core().Save(ctx) }

// Reload drops this request's unsaved changes and reads the session again. A stored
// session's record is loaded again, even if the first load failed. A session in
// cookies becomes what the request carried: changes by other requests are in later
// cookies. If the session has expired, or was ended elsewhere, it is gone, and
// [Session.Reason] says why. A long response or a WebSocket can call Reload from
// time to time.
//
// Reload may be called after the header was sent. If it returns an error
// ([ErrStoreDown], wrapped), nothing has changed.
func (s *Session) Reload(ctx context.Context) error { return s.core().Reload(ctx) }

// Err returns the first error of this session: of its load, of values that could
// not be encoded, or of a change after the header. It is nil otherwise.
func (s *Session) Err() error { return s.core().Err() }

// Reason returns why the visitor was not recognised, or [reason.None] if the request
// carried a session.
func (s *Session) Reason() reason.Reason {
	return s.core().View().Reason()
}

// ID returns the session's public id: 22 characters of base64url. It is safe to
// log, because no cookie can be made from it. It is empty until something is
// written, and changes with [Session.Renew].
func (s *Session) ID() string {
	root, _ := s.core().Generation()
	if root == (state.Root{}) {
		return ""
	}
	return root.ID()
}

// IsNew reports whether this request carried no session, or has destroyed the one
// that it carried.
func (s *Session) IsNew() bool {
	_, isNew := s.core().Generation()
	return isNew
}

// Created returns when the session began, in UTC, to the millisecond. Renew keeps
// it. It is zero for a session that begins with this request.
func (s *Session) Created() time.Time {
	return timeOrZero(s.core().Created())
}

// Expires returns when the session's absolute lifetime ends, in UTC, including the
// changes of this request. It is zero if there is no session.
func (s *Session) Expires() time.Time {
	return timeOrZero(s.core().End())
}

func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return state.Time(ms)
}

// Has reports whether a value is set under name.
func (s *Session) Has(name string) bool { return s.core().Get(name) != nil }

// Names returns the names that have a value, sorted.
func (s *Session) Names() []string { return s.core().Names() }

// Delete removes the value under name. Removing what is not there is no change.
func (s *Session) Delete(name string) { s.core().Delete(name) }

// IdleExpires returns when the session ends if it is not used again. It is zero for
// a new session, or without an idle timeout. A session in use can end earlier by
// up to Config.Lifetimes.TouchAfter, because not every request renews the last-seen time.
func (s *Session) IdleExpires() time.Time {
	if end := s.core().IdleEnd(); end != 0 {
		return state.Time(end)
	}
	return time.Time{}
}

// Clear removes all values and keeps the session, its id and its times. Clear
// followed by [Session.Renew] does what express-session calls regenerate.
func (s *Session) Clear() { s.core().Clear() }

// Renew gives the session a new id and keeps its values and its creation time.
// Call it whenever the visitor's rights change: at login (see [Session.Login]), at a
// second factor, or to act as another user. Writes of other requests to the old
// session at the same time are dropped on purpose.
func (s *Session) Renew() { s.core().Renew() }

// Login renews the session, as [Session.Renew] does, and seals its subjects into it.
// The first one is usually the user's id. The others are further names by which the
// program can end the session, such as the session's id at an identity provider. A
// session has at most four subjects of 1 to 255 bytes each; repeated ones are
// ignored. Call Login when a visitor has logged in.
//
// Sessions.RevokeSubject of package middleware ends all sessions that were bound to
// a subject before, whether it was given first or later. All subjects are names of
// one kind, so give each kind a prefix if two could be equal. Renew keeps the
// subjects, and Login replaces them.
func (s *Session) Login(subject string, also ...string) { s.core().Login(subject, also...) }

// SetLifetime sets this session's absolute lifetime, from now, in place of
// Config.Lifetimes.Absolute: "remember me". The minimum is a second, and the maximum is
// Config.Lifetimes.Max, or Config.Lifetimes.Absolute if that is longer. Values outside that
// range are clamped, with an event and a log line. SetLifetime also renews the
// session, so call it at login.
func (s *Session) SetLifetime(d time.Duration) { s.core().SetLifetime(d) }

// SetIdleTimeout sets this session's idle timeout, in place of Config.Lifetimes.Idle:
// at least a second, or negative for none. It also renews the session.
func (s *Session) SetIdleTimeout(d time.Duration) {
	s.core().SetTerms("SetIdleTimeout", func(t *state.Terms) {
		t.Idle = max(d.Milliseconds(), 1000)
		if d < 0 {
			t.Idle = state.NoIdle
		}
	})
}

// SetBrowserSession sets whether browsers forget this session's cookies when they
// are closed, in place of Config.Cookie.BrowserSession. Many browsers restore such cookies
// together with their windows, so the lifetime still counts. It also renews the
// session.
func (s *Session) SetBrowserSession(ends bool) {
	s.core().SetTerms("SetBrowserSession", func(t *state.Terms) {
		t.Browser = -1
		if ends {
			t.Browser = 1
		}
	})
}

// Subject returns the first subject of the last [Session.Login], and whether there was
// one.
func (s *Session) Subject() (subject string, ok bool) {
	b := s.core().Subjects().First()
	return string(b), b != nil
}

// Destroy ends the session. The response expires its cookies and marks it as logged
// out, so that no slow response can bring it back. Values that are set afterwards
// begin a new session in the same response.
func (s *Session) Destroy() { s.core().Destroy() }
