package middleware

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// tries is how often a write is put on top of what others have written first.
// Each time one of them has succeeded, so as many writers of one session have
// to be at work at once for the last to be refused.
const tries = 40

// patience is how many StoreTimeouts a write may wait for others.
const patience = 4

// settle plans what a request has left, and does what the plan asks of the
// store before the response says so: where another writer came first the changes
// are put on top of theirs. The view, if there is one, is the session as it
// stands in the store now.
func (x *work) settle(ctx context.Context, o core.Outcome, r Response) (plan, *core.View, error) {
	o.View = x.fresh(ctx, o)
	if drop, err := x.checkRenewal(ctx, o); drop || err != nil {
		return plan{}, nil, err
	}
	x.bound = x.boundAt(ctx, o)
	seen := o.View
	var until time.Time // from the first conflict on
	for try := 1; ; try++ {
		p, err := x.plan(o, r)
		if err != nil || p.record == nil {
			return x.settleCookies(ctx, p, o.View, err)
		}
		err = x.store(ctx, p.record, p.old, p.new)
		switch {
		case err == nil:
			return p, x.written(ctx, p, o.View), nil
		case errors.Is(err, fallback.ErrTooLarge):
			return plan{}, nil, x.refusedBySize(p.record)
		case !errors.Is(err, fallback.ErrConflict):
			return plan{}, nil, err
		case try == 1:
			until = x.sessions.Clock().Add(patience * x.sessions.timeout)
		case try == tries || x.sessions.timeout > 0 && x.sessions.Clock().After(until):
			return plan{}, nil, storeDown(errBusy)
		}
		pause(ctx, try)
		if o.View, err = x.again(ctx, p.record, seen); err != nil {
			return plan{}, nil, err
		}
		if o.View == nil {
			return plan{}, nil, nil // logged out meanwhile: by intent, what overlaps is dropped
		}
		x.storage().stranded = o.View == seen
	}
}

var (
	errBusy     = errors.New("too many requests write to one session at once")
	errStranded = errors.New("the session's record has gone while a request wrote to it")
	errDropped  = errors.New("a part of the session that a request saw and built on came too late, and has been dropped since")
)

// pause lets the others finish; longer, the more there seem to be.
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

// fresh is the outcome's view, loaded anew where a handler took so long that
// what it saw of the record could contradict what has been collected since.
func (x *work) fresh(ctx context.Context, o core.Outcome) *core.View {
	v := o.View
	if v == nil || v.Ref == nil || v.Head == nil || !o.Writes || x.found == nil ||
		core.Millis(x.sessions.Clock())-x.storage().at < core.Window/2 {
		return v
	}
	if rec, err := x.fetch(ctx, v.Ref); err == nil && rec != nil {
		if now := x.merged(rec); now.Head != nil && now.Continues(v) {
			return now
		}
	}
	return v // the Save will tell
}

// again loads what stands in the row after a conflict. It is nil after a logout
// or a renewal: what overlaps with those is dropped, by intent. Where the row is
// gone, a session that was in it is not put back: then it gives the view that
// the request had, on which a change can still be built for the cookies. It fails
// where what the request has seen is not there any more: the change must not stand
// without it.
func (x *work) again(ctx context.Context, f *core.Fragment, seen *core.View) (*core.View, error) {
	rec, err := x.fetch(ctx, f)
	if err != nil {
		return nil, err
	}
	v := x.merged(rec)
	switch {
	case rec != nil && rec.fragment.Kind == core.Logout:
		x.observe(ctx, Event{Kind: EventRefused, Reason: session.LoggedOut, SessionID: f.Root.ID()})
		return nil, nil
	case v.Head == nil:
		return seen, nil
	case !v.Continues(seen):
		return nil, storeDown(errDropped)
	}
	return v, nil
}

// written notes what the store holds now and what the response is to say of it.
func (x *work) written(ctx context.Context, p plan, before *core.View) *core.View {
	s := x.storage()
	s.unsent = append(s.unsent, p.set...)
	if before.Ref == nil || before.Ref.Root != p.record.Root {
		x.observe(ctx, Event{Kind: EventSpilled, SessionID: p.record.Root.ID(), Bytes: s.record.bytes})
	}
	return x.merged(s.record)
}

// settleCookies does what a plan for the cookies asks of the store beside them.
func (x *work) settleCookies(ctx context.Context, p plan, v *core.View, err error) (plan, *core.View, error) {
	if err != nil {
		return plan{}, nil, err
	}
	if p.touched != nil && x.prolong(ctx, p.touched) != nil {
		return plan{}, v, nil // the next request tries again; nothing may promise what the row does not keep
	}
	if p.returns {
		x.observe(ctx, Event{Kind: EventReturned, SessionID: v.Head.Root.ID()})
	}
	if p.changes {
		return p, nil, nil
	}
	return p, standing(v), nil
}

// standing is the view of a session of which nothing has changed if it is in the
// store, and so takes late changes; else nil.
func standing(v *core.View) *core.View {
	if v == nil || v.Ref == nil || v.Head == nil {
		return nil
	}
	return v
}

// clear removes what the committed plan has left behind in the store. None of
// it is of use to anybody, so that a failure is an event and no more.
func (x *work) clear(ctx context.Context) {
	if x.owed == nil {
		return
	}
	p := *x.owed
	x.owed.left, x.owed.moved, x.owed.forget = nil, nil, nil
	for _, f := range p.left {
		x.endGeneration(ctx, f, x.farewellEnd(f))
	}
	if p.moved != nil {
		x.vacate(ctx, p.moved)
	}
	if p.forget != nil {
		x.forget(ctx, p.forget)
	}
}

// farewellEnd is how long the marker of a renewal stays in the row: as long as a
// copy of the old cookies could be of use, from before the session was stored, too.
// Where nobody asks for sessions in cookies, a reference is worth nothing without
// its record, and the marker only tells those in flight that they are dropped by
// intent.
func (x *work) farewellEnd(f *core.Fragment) int64 {
	if f.Kind == core.Reference && !x.sessions.revocable() {
		return core.Millis(x.sessions.Clock()) + core.Settled
	}
	return f.End
}

// farewell puts the marker of a logout into the row until end, so that neither
// a copy of the cookies nor a slow writer can bring the session back. The browser
// is logged out all the same where the store does not answer.
func (x *work) farewell(ctx context.Context, f *core.Fragment, end int64) {
	rec := x.storage().known(f.Root)
	var old core.Revision
	if f.Kind == core.Reference {
		old = core.Revision{Number: f.Number, Tag: f.ETag} // where nobody has written since
	}
	for range tries {
		if rec != nil {
			old = rec.revision
		}
		now := core.Millis(x.sessions.Clock())
		err := x.store(ctx, f.Gone(end, now), old, nextRevision(max(old.Number, f.Number, f.Moved)))
		if !errors.Is(err, fallback.ErrConflict) {
			return
		}
		if rec, err = x.fetch(ctx, f); err != nil {
			return
		}
		old = core.Revision{}
	}
}

// vacate empties a row whose state is in the cookies for good, unless somebody
// has written to it since.
func (x *work) vacate(ctx context.Context, moved *core.Fragment) {
	rec, err := x.fetch(ctx, moved)
	if err != nil || rec == nil || rec.revision.Number > moved.Moved || rec.fragment.Kind != core.Data {
		return
	}
	next := nextRevision(rec.revision.Number)
	_ = x.store(ctx, moved.Vacated(next, core.Millis(x.sessions.Clock())), rec.revision, next)
}

func nextRevision(after uint64) core.Revision {
	return core.Revision(fallback.Revision{Number: after}.Next())
}

// refusedBySize is what a store says of a record that is larger than its engine
// takes.
func (x *work) refusedBySize(f *core.Fragment) error {
	n := len(f.Plaintext())
	return tooLarge([]*core.Fragment{f}, "", "bytes of a record, of which Config.Fallback takes fewer", 0, n)
}
