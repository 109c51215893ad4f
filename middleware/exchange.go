package middleware

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Begin notes the request and does no I/O and no parsing. The returned context
// carries the session for [session.From]; it is the exchange itself.
func (m *Sessions) Begin(ctx context.Context, r Request) (context.Context, *Exchange) {
	x := &Exchange{}
	m.begin(x, ctx, &r)
	return x, x
}

func (m *Sessions) begin(x *Exchange, ctx context.Context, r *Request) {
	x.Context, x.sessions, x.cookies, x.quiet, x.prefetch = ctx, m, r.Cookies, r.quiet(), r.Prefetch
	x.core.Init(x)
}

// Load is called by the session, once, when it is first used.
func (x *Exchange) Load(ctx context.Context) (*state.View, error) {
	if ctx == nil {
		ctx = x.Context
	}
	cookies, found := cookiejar.EstimateGroups(x.cookies, x.sessions.Name)
	if !found && x.state.Load() == nil && x.sessions.Observer == nil && len(x.sessions.Import) == 0 {
		return nil, nil // a load would find nothing, and no observer waits for it
	}
	return x.ensureStateFor(cookies).load(ctx)
}

// Commit decides what the response does to the visitor's cookies. It must be
// called once, before the response's header is written; after it the session
// takes no more changes. With an error nothing may be sent of the handler's
// response: the visitor's cookies stay as they were.
func (x *Exchange) Commit(ctx context.Context, r Response) (Fields, error) {
	if asked, ok := x.core.Pass(); ok {
		return Fields{Vary: asked}, nil
	}
	return x.decide(ctx, r)
}

// decide is the commit of a session of which there may be something to say.
func (x *Exchange) decide(ctx context.Context, r Response) (Fields, error) {
	var out Fields
	err := x.core.Commit(func(o core.Outcome) (v *state.View, err error) {
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

// look performs the load that Load skipped, before a write.
func (x *requestState) look(ctx context.Context, o *core.Outcome) (err error) {
	if x.found == nil && o.Err == nil {
		o.View, err = x.load(ctx)
	}
	return err
}

// commit decides what the response says.
func (x *requestState) commit(ctx context.Context, o core.Outcome, r Response) (out Fields, v *state.View, err error) {
	if err = x.look(ctx, &o); err != nil {
		return Fields{}, nil, err
	}
	if x.prefetch || r.prefetch {
		o = o.WithoutPops()
	}
	if out, v, err = x.fields(ctx, o, r); err != nil {
		x.pending = nil // the cookies stay as they were, and so must what they refer to
	}
	return out, v, err
}

var errCommitted = errors.New("carryon: Commit was called twice for one request; call it once, before the header is written")

// Finish ends the exchange when the handler has returned. It writes what was
// changed after the header where the session lives in the store, and returns
// [session.ErrLate] where such a change was lost, or the store's error. What a goroutine
// changes later still, in a session that lives in the store, takes a Save of its own.
func (x *Exchange) Finish(ctx context.Context) error {
	err := x.core.Finish(ctx)
	if err != nil && !errors.Is(err, session.ErrLate) {
		x.observe(ctx, Event{Kind: EventFailed, Reason: reason.Of(err), Err: err})
	}
	if w := x.state.Load(); w != nil {
		x.core.Locked(func() { w.clear(ctx) }) // a goroutine of the handler's may still save
	}
	return err
}

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
	p = x.merged(p)
	out := Fields{Vary: true}
	if out.SetCookie, err = x.seal(p); err != nil {
		return Fields{}, nil, err
	}
	if p.EndedByLogout != nil {
		x.endGeneration(ctx, p.EndedByLogout, p.EndedByLogout.End)
	}
	x.pending = nil
	if len(p.EndedByRenewal) > 0 {
		x.pending = &pendingPlan{Plan: policy.Plan{EndedByRenewal: p.EndedByRenewal}} // for Finish
	}
	out.SetCookie = x.expireLegacy(ctx, out.SetCookie, o, p, r)
	x.cacheControl(ctx, &out, o, r, p.Changes)
	if len(out.SetCookie) > 0 && x.sessions.Observer != nil {
		x.observeCommit(ctx, p, out)
		if p.Changes && o.View.Imported {
			x.observe(ctx, Event{Kind: EventImported, SessionID: o.View.Winner.Root.ID()})
		}
	}
	return out, v, nil
}

// Save is the session's Save: what goes into the store is written there, and
// the header says so later; what is in cookies can only be checked.
func (x *Exchange) Save(ctx context.Context, o core.Outcome) (*state.View, error) {
	if o.Err != nil {
		return nil, o.Err
	}
	if x.prefetch {
		o = o.WithoutPops()
	}
	if !o.Writes {
		return nil, nil
	}
	return x.ensureState().save(ctx, o)
}

func (x *requestState) save(ctx context.Context, o core.Outcome) (*state.View, error) {
	if err := x.look(ctx, &o); err != nil {
		return nil, err
	}
	p, v, err := x.persist(ctx, o, Response{Status: 200})
	if err != nil {
		return nil, err
	}
	if p.Record != nil {
		x.pending = &pendingPlan{Plan: x.merged(p)}
		return v, nil
	}
	if x.committed() {
		return nil, session.ErrLate
	}
	_, err = x.seal(p)
	return nil, err
}

// LateRead is told by the session.
func (x *Exchange) LateRead() { x.observe(x, Event{Kind: EventLateRead}) }

// LateChange is told by the session.
func (x *Exchange) LateChange(what string) {
	x.observe(x, Event{Kind: EventLateChange, Reason: reason.LateChange, Detail: what})
}

// Lifetimes is asked by the session.
func (x *Exchange) Lifetimes() (now, lifetime, longest int64) {
	m := x.sessions
	return state.Millis(m.Clock()), m.lifetime, m.MaxLifetime.Milliseconds()
}

// Clamped is told by the session.
func (x *Exchange) Clamped(what string, asked time.Duration) {
	x.observe(x, Event{Kind: EventClamped, Detail: what, Duration: asked})
}

// Undecodable is told by the session.
func (x *Exchange) Undecodable(name string, err error) {
	x.observe(x, Event{Kind: EventUndecodable, Detail: strconv.Quote(name), Err: err})
}

// Reload is the session's Reload. What is in the store is read again; of cookies
// a request has no others than those it came with, but they may have ended since.
func (x *Exchange) Reload(ctx context.Context, have *state.View) (*state.View, error) {
	if w := x.state.Load(); w != nil {
		return w.reload(ctx, have)
	}
	return have, nil
}

// abandon ends the exchange of a handler that has panicked after the header: what
// the header has said counts, and what it has ended must be ended in the store.
func (x *Exchange) abandon(ctx context.Context) {
	if w := x.state.Load(); w != nil {
		x.core.Locked(func() { w.clear(ctx) })
	}
}
