package session

import (
	"context"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// Session is one visitor's session as one request sees it. Its methods may be
// called by several goroutines; changes count until the response's header is
// written, and after it are refused with [ErrLate].
//
// A failed load is not an empty session: reads then give nothing, changes are
// dropped, [Session.Err] says why, and the response becomes an error page.
//
// A Session is in the memory of its request and must not be copied.
type Session core.Core

func (s *Session) core() *core.Core { return (*core.Core)(s) }

// From returns the session of the innermost middleware that ctx passed.
// It panics where there is none: that is a route outside of the middleware, a
// mistake of the program's wiring and not of a visitor's.
func From(ctx context.Context) *Session {
	if s, ok := Lookup(ctx); ok {
		return s
	}
	panic("carryon: session.From: this context has no session; wrap the handler that serves this route: " +
		"http.ListenAndServe(addr, sessions.Handler(mux)), and pass r.Context() on")
}

// Lookup returns the session of the innermost middleware that ctx passed, and
// whether there is one.
func Lookup(ctx context.Context) (*Session, bool) {
	s, ok := ctx.Value(core.ContextKey{}).(*Session)
	return s, ok && s != nil
}

// NewContext returns a copy of ctx that carries s: for frameworks with a
// context of their own, and for tests.
func NewContext(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, core.ContextKey{}, s)
}

// ContextKey is the key under which a context holds the request's *Session: for
// adapters of frameworks whose own context is a store of values by key. Others
// want [NewContext].
func ContextKey() any { return core.ContextKey{} }

// Load reads the session now, under ctx, if that has not happened yet, and
// returns why it could not: nil also where there simply is none. Whoever must
// not take a store's outage for "nobody is logged in" calls it first; a later
// call returns the same answer.
func (s *Session) Load(ctx context.Context) error { return s.core().Load(ctx) }

// Save writes the changes so far where they need no header: a stored session's
// record. For a session in cookies it only says, before the handler goes on,
// which error the commit would end in (nil, [ErrTooLarge], an unencodable value,
// [ErrLate]): those are written with the header, which a handler can send before
// a long response by http.ResponseController's Flush. A goroutine that changes a stored
// session when the handler has returned saves it itself; nobody else does any more.
func (s *Session) Save(ctx context.Context) error { return s.core().Save(ctx) }

// Reload drops what this request has changed since it loaded the session, or last
// saved it, and shows the session as it is now: a stored session's record is read
// again, also where the load had failed. Of a session in cookies it shows what the
// request brought, for other requests' changes are in later cookies. In both
// cases a session that has reached its end meanwhile, or was ended from elsewhere
// (with a store, as of Config.RevocationMaxAge ago), is gone, with a [Session.Reason]: a
// long response, or a WebSocket, can ask from time to time.
//
// It may come after the header; what a session in cookies has sent by then stays.
// With an error ([ErrStoreDown], wrapped) everything is as it was.
func (s *Session) Reload(ctx context.Context) error { return s.core().Reload(ctx) }

// Err is the first thing that went wrong with this session: its load, a value
// that could not be encoded, a change that came too late. Nil otherwise.
func (s *Session) Err() error { return s.core().Err() }

// Reason returns why this visitor was not recognised, or [reason.None] if the
// request brought a session.
func (s *Session) Reason() reason.Reason { return s.core().View().Reason() }

// ID is the session's public id, 22 characters of base64url. It is safe to log:
// nothing can be opened with it. It is empty until something is written, and
// changes with Renew.
func (s *Session) ID() string {
	root, _ := s.core().Generation()
	if root == (state.Root{}) {
		return ""
	}
	return root.ID()
}

// IsNew tells whether this request brought no session, or has destroyed the
// one it brought.
func (s *Session) IsNew() bool {
	_, isNew := s.core().Generation()
	return isNew
}

// Created is when the session began (UTC, to the millisecond); Renew keeps it.
// It is zero in a session that this request begins.
func (s *Session) Created() time.Time {
	return timeOrZero(s.core().Created())
}

// Expires returns when the absolute lifetime ends (UTC), however much the session
// is used, by the changes so far. It is zero if there is no session.
func (s *Session) Expires() time.Time {
	return timeOrZero(s.core().End())
}

func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return state.Time(ms)
}

// Has tells whether a value is set under name.
func (s *Session) Has(name string) bool { return s.core().Get(name) != nil }

// Names lists the names that have a value, sorted.
func (s *Session) Names() []string { return s.core().Names() }

// Delete removes the value under name. Removing what is not there is no change.
func (s *Session) Delete(name string) { s.core().Delete(name) }

// IdleExpires is when the session that this request brought ends if it is not
// used again before that; zero where there is no idle limit, or where it is new. A
// session in use ends up to Config.TouchAfter earlier.
func (s *Session) IdleExpires() time.Time {
	if end := s.core().IdleEnd(); end != 0 {
		return state.Time(end)
	}
	return time.Time{}
}

// Clear removes all values and keeps the session, its id and its times.
// Clear and [Session.Renew] together are what express-session calls regenerate.
func (s *Session) Clear() { s.core().Clear() }

// Renew gives the session a new id and keeps its values and its creation time.
// Call it whenever the visitor's rights change: at login, at a second factor,
// when acting as somebody else. What other requests write to the old session
// at the same moment is dropped, by intent.
func (s *Session) Renew() { s.core().Renew() }

// Bind says whose session this is, for a login: it renews the session, as
// [Session.Renew] does, and seals the subject into it, usually the user's id, of
// 1 to 255 bytes. Sessions.RevokeSubject of the middleware then ends all sessions
// that were bound to the subject before. Renew keeps the subject; Bind changes it.
func (s *Session) Bind(subject string) { s.core().Bind([]byte(subject)) }

// SetLifetime lets this session live for d from now on, in place of
// Config.Lifetime: "remember me". The shortest is a second, the longest
// Config.MaxLifetime (or Config.Lifetime, if that is longer). Values outside that
// range are clamped, and an event and a log line say so. SetLifetime also renews
// the session, so call it at login.
func (s *Session) SetLifetime(d time.Duration) { s.core().SetLifetime(d) }

// SetIdleTimeout lets this session live for d without being used, in place of
// Config.IdleTimeout: at least a second; negative is no idle limit. It renews the
// session.
func (s *Session) SetIdleTimeout(d time.Duration) {
	s.core().SetTerms("SetIdleTimeout", func(t *state.Terms) {
		t.Idle = max(d.Milliseconds(), 1000)
		if d < 0 {
			t.Idle = state.NoIdle
		}
	})
}

// SetBrowserSession lets the cookies of this session be forgotten when the browser is closed, or
// not, in place of Config.BrowserSession. Many browsers bring them back with
// their windows: the lifetime counts all the same. It renews the session.
func (s *Session) SetBrowserSession(ends bool) {
	s.core().SetTerms("SetBrowserSession", func(t *state.Terms) {
		t.Browser = -1
		if ends {
			t.Browser = 1
		}
	})
}

// Subject is what the session is bound to, and whether it is.
func (s *Session) Subject() (subject string, ok bool) {
	b := s.core().Subject()
	return string(b), b != nil
}

// Destroy ends the session: the response expires its cookies and marks it as
// logged out, so that no slow response can bring it back. What is set afterwards
// begins a new session in the same response.
func (s *Session) Destroy() { s.core().Destroy() }
