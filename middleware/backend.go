package middleware

import (
	"context"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// backend is an Exchange with the methods that its session calls. They are not
// methods of Exchange, because no adapter has a use for them.
type backend Exchange

var (
	_ core.Backend  = (*backend)(nil)
	_ core.Reloader = (*backend)(nil)
)

func (b *backend) exchange() *Exchange { return (*Exchange)(b) }

// Load reads the request's session, under ctx or the request's own context.
func (b *backend) Load(ctx context.Context) (*state.View, error) {
	if ctx == nil {
		ctx = b.Context
	}
	cookies, found := cookiejar.EstimateGroups(b.cookies, b.sessions.Cookie.Name)
	if !found && b.state.Load() == nil && b.sessions.Observer == nil && len(b.sessions.Migration.From) == 0 {
		return nil, nil // a load would find nothing, and there is no observer to report it to
	}
	return b.exchange().ensureStateFor(cookies).load(ctx)
}

// Save writes the changes of a session that belongs in the store, and keeps the
// cookies that the header must set. The changes of a session in cookies are only
// checked.
func (b *backend) Save(ctx context.Context, o core.Outcome) (*state.View, error) {
	if o.Err != nil {
		return nil, o.Err
	}
	if b.prefetch {
		o = o.WithoutPops()
	}
	if !o.Writes {
		return nil, nil
	}
	return b.exchange().ensureState().save(ctx, o)
}

// Reload reads a stored session's record again. A session in cookies stays as the
// request brought it. Either may have ended since.
func (b *backend) Reload(ctx context.Context, have *state.View) (*state.View, error) {
	if x := b.state.Load(); x != nil {
		return x.reload(ctx, have)
	}
	return have, nil
}

// LateRead reports that the session was first read after the header was sent.
func (b *backend) LateRead() { b.observe(Event{Kind: EventLateRead}) }

// LateChange reports a change after the header was sent. what names the method.
func (b *backend) LateChange(what string) {
	b.observe(Event{Kind: EventLateChange, Reason: reason.LateChange, Detail: what})
}

// Lifetimes returns the current time and the lifetimes of the configuration, in
// milliseconds.
func (b *backend) Lifetimes() (now, lifetime, longest int64) {
	m := b.sessions
	return state.Millis(m.Clock()), m.lifetime, m.Lifetimes.Max.Milliseconds()
}

// Clamped reports that a lifetime was outside of the permitted range.
func (b *backend) Clamped(what string, asked time.Duration) {
	b.observe(Event{Kind: EventClamped, Detail: what, Duration: asked})
}

// Undecodable reports that a stored value does not decode as its key's type.
func (b *backend) Undecodable(name string, err error) {
	b.observe(Event{Kind: EventUndecodable, Detail: strconv.Quote(name), Err: err})
}

func (b *backend) observe(e Event) { b.exchange().observe(b.exchange(), e) }
