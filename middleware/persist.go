package middleware

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// maxWaits is how many StoreTimeouts a write may wait for others.
const maxWaits = 4

// persist decides what the response does, and does what the plan asks of the
// store before the response says so. If another writer came first, the changes
// are put on top of theirs. The view, if there is one, is the session as it
// stands in the store now.
func (x *requestState) persist(ctx context.Context, o core.Outcome, r Response) (policy.Plan, *state.View, error) {
	if drop, err := x.checkRenewal(ctx, o); drop || err != nil {
		return policy.Plan{}, nil, err
	}
	x.bound = x.boundAt(ctx, o)
	var until time.Time // from the first conflict on
	for try := 1; ; try++ {
		p, err := x.decidePlan(o, r, try > 1)
		if err != nil || p.Record == nil {
			return x.persistCookies(ctx, p, o.View, err)
		}
		err = x.storage().Save(ctx, p.Record, p.Old, p.New)
		switch {
		case err == nil:
			return p, x.saved(ctx, p), nil
		case errors.Is(err, fallback.ErrTooLarge):
			return policy.Plan{}, nil, x.refusedBySize(p.Record)
		case !errors.Is(err, fallback.ErrConflict):
			return policy.Plan{}, nil, err
		case try == 1:
			until = x.sessions.Clock().Add(maxWaits * x.sessions.timeout)
		case try == records.MaxTries || x.sessions.timeout > 0 && x.sessions.Clock().After(until):
			return policy.Plan{}, nil, records.Down(records.ErrBusy)
		}
		pause(ctx, try)
		if o.View, err = x.again(ctx, p.Record, o.View); err != nil || o.View == nil {
			return policy.Plan{}, nil, err // nil: logged out meanwhile; what overlaps is dropped by intent
		}
	}
}

var errDropped = errors.New("a part of the session that the request saw came too late, and is no longer there")

var errLostRow = errors.New("the session's record has gone while a request wrote to it")

// pause lets other writers finish. It is longer, the more there seem to be.
func pause(ctx context.Context, try int) {
	if try < 2 {
		return
	}
	timer := time.NewTimer(rand.N(time.Duration(min(try, 16)) * time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// again loads what stands in the record after a conflict. The view is nil after
// a logout or a renewal: what overlaps with those is dropped by intent.
func (x *requestState) again(ctx context.Context, c *state.Cookie, seen *state.View) (*state.View, error) {
	rec, err := x.storage().Load(ctx, c)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		if !seen.Stored() {
			return seen, nil // it was never there for this request
		}
		return nil, records.Down(errLostRow)
	}
	v := x.viewWith(rec)
	if v.Head == nil {
		x.observe(ctx, Event{Kind: EventRefused, Reason: v.Reason(), SessionID: c.Root.ID()})
		return nil, nil
	}
	if !v.Continues(seen) {
		return nil, records.Down(errDropped)
	}
	return v, nil
}

// saved notes what the store holds now and what the response is to say of it.
func (x *requestState) saved(ctx context.Context, p policy.Plan) *state.View {
	s := x.storage()
	s.unsent = append(s.unsent, p.Set...)
	switch {
	case p.ToStore:
		x.observe(ctx, Event{Kind: EventSpilled, SessionID: p.Record.Root.ID(), Bytes: s.Record.Bytes})
	case p.ToCookies:
		x.observe(ctx, Event{Kind: EventReturned, SessionID: p.Record.Root.ID()})
		return nil // it takes no late changes
	}
	return x.viewWith(s.Record)
}

// persistCookies does what a plan for the cookies asks of the store beside them.
func (x *requestState) persistCookies(ctx context.Context, p policy.Plan, v *state.View, err error) (policy.Plan, *state.View, error) {
	if err != nil {
		return policy.Plan{}, nil, err
	}
	if p.Extend != nil && x.storage().Extend(ctx, p.Extend) != nil {
		return policy.Plan{}, v, nil // the next request tries again; nothing may promise what the record does not keep
	}
	if p.Changes {
		return p, nil, nil
	}
	return p, storedView(v), nil
}

// clear removes what the committed plan has left behind in the store. None of it
// is needed, so that a failure is only an event.
func (x *requestState) clear(ctx context.Context) {
	if x.pending == nil {
		return
	}
	p := *x.pending
	x.pending.EndedByRenewal, x.pending.forget = nil, nil
	for _, c := range p.EndedByRenewal {
		x.endGeneration(ctx, c, x.markerEnd(c))
	}
	if p.forget != nil {
		x.forget(ctx, p.forget)
	}
}

// refusedBySize is what a store says of a record that is larger than its engine
// takes.
func (x *requestState) refusedBySize(c *state.Cookie) error {
	n := len(c.Plaintext())
	return &session.TooLargeError{Limit: session.LimitRecordBytes, Need: n, Session: n, Platform: string(x.sessions.Platform)}
}
