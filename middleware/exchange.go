package middleware

import (
	"context"
	"errors"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
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
	x.pending = nil
	if len(p.EndedByRenewal) > 0 {
		x.pending = &pendingPlan{Plan: policy.Plan{EndedByRenewal: p.EndedByRenewal}} // Finish ends these
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
