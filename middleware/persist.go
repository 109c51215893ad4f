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

// maxWaits is the number of store timeouts that a write may wait for other writers.
const maxWaits = 4

// persist makes the plan for the response and writes the plan's record to the store.
// If another request has changed the record, persist reloads it and applies the
// changes again. The view that persist returns is the session as it is in the store
// now, on which later changes build; it is nil if later changes are not possible.
func (x *requestState) persist(ctx context.Context, o core.Outcome, r Response) (policy.Plan, *state.View, error) {
	if drop, err := x.checkRenewal(ctx, o); drop || err != nil {
		return policy.Plan{}, nil, err
	}
	x.bound = x.boundAt(ctx, o)
	var until time.Time // set at the first conflict
	for try := 1; ; try++ {
		p, err := x.decidePlan(o, r, try > 1)
		if err != nil || p.Record == nil {
			return x.persistCookies(ctx, p, o.View, err)
		}
		err = x.storage().Save(ctx, p.Record, p.Old, p.New)
		switch {
		case err == nil:
			return p, x.afterSave(ctx, p), nil
		case errors.Is(err, fallback.ErrTooLarge):
			return policy.Plan{}, nil, x.recordTooLarge(p.Record)
		case !errors.Is(err, fallback.ErrConflict):
			return policy.Plan{}, nil, err
		case try == 1:
			until = x.sessions.config.Clock().Add(maxWaits * x.sessions.timeout)
		case try == records.MaxTries || x.sessions.timeout > 0 && x.sessions.config.Clock().After(until):
			return policy.Plan{}, nil, records.Down(records.ErrBusy)
		}
		pause(ctx, try)
		if o.View, err = x.reloadRecord(ctx, p.Record, o.View); err != nil || o.View == nil {
			return policy.Plan{}, nil, err // a nil view: logged out or renewed meanwhile, so the changes are dropped
		}
	}
}

var errDropped = errors.New("the session has lost entries that this request had read, because their cookies arrived too late; repeat the request")

var errLostRow = errors.New("the session's record was removed from the store while a request wrote to it; check the store's expiry and eviction settings")

// pause waits a random time, so that other writers can finish. The time grows with
// the number of tries.
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

// reloadRecord loads the record again after a conflict; loaded is the view that the
// request has used so far. The new view is nil if the session was logged out or
// renewed meanwhile: the request's changes are then dropped, which is not an error.
func (x *requestState) reloadRecord(ctx context.Context, c *state.Cookie, loaded *state.View) (*state.View, error) {
	rec, err := x.storage().Load(ctx, c)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		if !loaded.Stored() {
			return loaded, nil // the request had found no record either
		}
		return nil, records.Down(errLostRow)
	}
	v := x.viewWith(rec)
	if v.Head == nil {
		x.observe(ctx, Event{Kind: EventRefused, Reason: v.Reason(), SessionID: c.Root.ID()})
		return nil, nil
	}
	if !v.Continues(loaded) {
		return nil, records.Down(errDropped)
	}
	return v, nil
}

// afterSave keeps the plan's cookies for the response, and returns the view that
// later changes build on; see persist.
func (x *requestState) afterSave(ctx context.Context, p policy.Plan) *state.View {
	s := x.storage()
	s.unsent = append(s.unsent, p.Set...)
	switch {
	case p.ToStore:
		x.observe(ctx, Event{Kind: EventSpilled, SessionID: p.Record.Root.ID(), Bytes: s.Record.Bytes})
	case p.ToCookies:
		x.observe(ctx, Event{Kind: EventReturned, SessionID: p.Record.Root.ID()})
		return nil // later changes are not possible in cookies
	}
	return x.viewWith(s.Record)
}

// persistCookies completes a plan that writes no record. If the plan prolongs the
// session, persistCookies first prolongs the record.
func (x *requestState) persistCookies(ctx context.Context, p policy.Plan, v *state.View, err error) (policy.Plan, *state.View, error) {
	if err != nil {
		return policy.Plan{}, nil, err
	}
	if p.Extend != nil && x.storage().Extend(ctx, p.Extend) != nil {
		return policy.Plan{}, v, nil // the cookies must not outlive the record; the next request tries again
	}
	if p.Changes {
		return p, nil, nil
	}
	return p, storedView(v), nil
}

// cleanUp ends, in the store and in the other library, the sessions that the
// committed plan has replaced. The response does not depend on that, so a failure is
// only an event.
func (x *requestState) cleanUp(ctx context.Context) {
	x.updateListings(ctx)
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

// recordTooLarge returns the error for a record that is larger than the store
// accepts.
func (x *requestState) recordTooLarge(c *state.Cookie) error {
	n := len(c.Plaintext())
	return &session.TooLargeError{Limit: session.LimitRecordBytes, Need: n, Session: n, Platform: string(x.sessions.config.Platform)}
}
