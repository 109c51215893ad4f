package middleware

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Begin starts the exchange of one request. It does no I/O and no parsing. The
// returned context carries the session for [session.From]; the context and the
// Exchange are the same value.
func (m *Sessions) Begin(ctx context.Context, r Request) (context.Context, *Exchange) {
	x := &Exchange{}
	m.begin(x, ctx, &r)
	return x, x
}

func (m *Sessions) begin(x *Exchange, ctx context.Context, r *Request) {
	x.Context, x.sessions, x.cookies, x.quiet, x.prefetch = ctx, m, r.Cookies, r.quiet(), r.Prefetch
	x.core().Init((*backend)(x))
}

// Commit decides which cookies the response sets and expires, and returns the
// header fields for them. Call it once, before the response's header is written.
// After Commit the session takes no more changes, unless it is in the store. If
// Commit returns an error, send nothing of the handler's response: the visitor's
// cookies stay as they were.
func (x *Exchange) Commit(ctx context.Context, r Response) (Fields, error) {
	if asked, ok := x.core().Pass(); ok {
		return Fields{Vary: asked}, nil
	}
	return x.commitSession(ctx, r)
}

// commitSession commits a session that the request may have used.
func (x *Exchange) commitSession(ctx context.Context, r Response) (Fields, error) {
	var out Fields
	err := x.core().Commit(func(o core.Outcome) (v *state.View, err error) {
		if x.committed() {
			return nil, errCommitted
		}
		defer func() { x.done = true }() // until then the header can still take a change
		if !o.Touched {
			return nil, nil
		}
		out, v, err = x.ensureState().commit(ctx, o, r)
		return v, err
	})
	if err != nil {
		x.observe(ctx, Event{Kind: EventFailed, Reason: reason.Of(err), Err: err})
	}
	return out, err
}

// loadIfSkipped performs the load that Load skipped, before a write.
func (x *requestState) loadIfSkipped(ctx context.Context, o *core.Outcome) (err error) {
	if x.found == nil && o.Err == nil {
		o.View, err = x.load(ctx)
	}
	return err
}

// commit returns the header fields of a session that the request has used, and the
// view that later changes start from; see persist.
func (x *requestState) commit(ctx context.Context, o core.Outcome, r Response) (out Fields, v *state.View, err error) {
	if err = x.loadIfSkipped(ctx, &o); err != nil {
		return Fields{}, nil, err
	}
	if x.prefetch || r.prefetch {
		o = o.WithoutPops()
	}
	if out, v, err = x.fields(ctx, o, r); err != nil {
		x.pending = nil // the cookies stay as they were, so what they refer to must stay too
	}
	return out, v, err
}

var errCommitted = errors.New("carryon: Commit was called twice for one request; call it once, before the header is written")

// Finish ends the exchange. Call it when the handler has returned. If the session
// is in the store, Finish writes the changes that came after the header. It returns
// [session.ErrLate] if such a change was lost, or the store's error. A goroutine
// that changes a session in the store after Finish must call Save.
func (x *Exchange) Finish(ctx context.Context) error {
	err := x.core().Finish(ctx)
	if err != nil && !errors.Is(err, session.ErrLate) {
		x.observe(ctx, Event{Kind: EventFailed, Reason: reason.Of(err), Err: err})
	}
	if w := x.state.Load(); w != nil {
		x.core().Locked(func() { w.cleanUp(ctx) }) // a goroutine of the handler may still call Save
	}
	return err
}

// fields returns the header fields of a loaded session, after it has persisted the
// changes.
func (x *requestState) fields(ctx context.Context, o core.Outcome, r Response) (Fields, *state.View, error) {
	if o.Err != nil {
		return Fields{}, nil, o.Err
	}
	if x.pending == nil && x.found.legacy == nil && x.sessions.silent(o) {
		out := Fields{Vary: true}
		x.cacheControl(ctx, &out, o, r, false)
		return out, storedView(o.View), nil
	}
	p, v, err := x.persist(ctx, o, r)
	if err != nil {
		return Fields{}, nil, err
	}
	p = x.withPending(p)
	out := Fields{Vary: true}
	if out.SetCookie, err = x.seal(p); err != nil {
		return Fields{}, nil, err
	}
	if p.EndedByLogout != nil {
		x.endGeneration(ctx, p.EndedByLogout, p.EndedByLogout.End)
	}
	x.noteListing(o, p)
	x.pending = nil
	if len(p.EndedByRenewal) > 0 {
		x.pending = &pendingPlan{Plan: policy.Plan{EndedByRenewal: p.EndedByRenewal}} // Finish ends these
	}
	out.SetCookie = x.expireLegacy(ctx, out.SetCookie, o, p, r)
	x.cacheControl(ctx, &out, o, r, p.Changes)
	if len(out.SetCookie) > 0 && x.sessions.config.Observer != nil {
		x.observeCommit(ctx, p, out)
		if p.Changes && o.View.Imported {
			x.observe(ctx, Event{Kind: EventImported, SessionID: o.View.Winner.Root.ID()})
		}
	}
	return out, v, nil
}

// save persists changes before the commit. Without a record, save only checks that
// the changes can be sealed.
func (x *requestState) save(ctx context.Context, o core.Outcome) (*state.View, error) {
	if err := x.loadIfSkipped(ctx, &o); err != nil {
		return nil, err
	}
	p, v, err := x.persist(ctx, o, Response{Status: 200})
	if err != nil {
		return nil, err
	}
	if p.Record != nil {
		x.noteListing(o, p)
		x.pending = &pendingPlan{Plan: x.withPending(p)}
		return v, nil
	}
	if x.committed() {
		return nil, session.ErrLate
	}
	_, err = x.seal(p)
	return nil, err
}

// finishAfterPanic ends the exchange of a handler that has panicked after the
// header was sent. The cookies in that header count, so the sessions that the
// response has ended must be ended in the store, too.
func (x *Exchange) finishAfterPanic(ctx context.Context) {
	if w := x.state.Load(); w != nil {
		x.core().Locked(func() { w.cleanUp(ctx) })
	}
}

// backend is an Exchange with the methods that its session calls. They are not
// methods of Exchange, because no adapter has a use for them.
type backend Exchange

var (
	_ core.Backend  = (*backend)(nil)
	_ core.Reloader = (*backend)(nil)
	_ core.Replacer = (*backend)(nil)
)

func (b *backend) exchange() *Exchange { return (*Exchange)(b) }

// Load reads the request's session, under ctx or the request's own context.
func (b *backend) Load(ctx context.Context) (*state.View, error) {
	if ctx == nil {
		ctx = b.Context
	}
	cookies, found := cookiejar.EstimateGroups(b.cookies, b.sessions.config.Cookie.Name)
	if !found && b.state.Load() == nil && b.sessions.config.Observer == nil && len(b.sessions.config.Migration.From) == 0 {
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

// Once makes all requests and all replicas replace a value only once.
func (b *backend) Once(ctx context.Context, id core.OnceID, do func(context.Context) ([]byte, error)) (core.Replacement, error) {
	return b.sessions.records.Once(ctx, b, id, do)
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
	return state.Millis(m.config.Clock()), m.lifetime, m.config.Lifetimes.Max.Milliseconds()
}

// Clamped reports that a lifetime was outside of the permitted range.
func (b *backend) Clamped(what string, asked time.Duration) {
	b.observe(Event{Kind: EventClamped, Detail: what, Duration: asked})
}

// Undecodable reports that a stored value does not decode as its key's type.
func (b *backend) Undecodable(name string, err error) {
	b.observe(Event{Kind: EventUndecodable, Detail: strconv.Quote(name), Err: err})
}

// StoreCall reports a call of the store. Package records calls it.
func (b *backend) StoreCall(ctx context.Context, c records.Call) {
	e := Event{Kind: EventStore, Detail: c.Method, Bytes: c.Bytes, Duration: c.Duration, Err: c.Err}
	if c.Err != nil {
		e.Reason = reason.StoreDown
	}
	b.exchange().observe(ctx, e)
}

// RecordRefused reports a row that was refused. Package records calls it.
func (b *backend) RecordRefused(ctx context.Context, id string, bytes int, err error) {
	b.exchange().observe(ctx, Event{Kind: EventRefused, Reason: reasonOf(err), SessionID: id, Bytes: bytes})
}

func (b *backend) observe(e Event) { b.exchange().observe(b.exchange(), e) }
