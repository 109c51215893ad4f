package middleware

import (
	"context"
	"slices"

	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// storage returns the request's dealings with the store, allocating them on
// first use.
func (x *requestState) storage() *stored {
	if x.found.stored == nil {
		x.found.stored = &stored{Access: records.Access{Client: &x.sessions.records, Listener: x}}
	}
	return x.found.stored
}

// StoreCall is told by the records.
func (x *requestState) StoreCall(ctx context.Context, c records.Call) {
	e := Event{Kind: EventStore, Detail: c.Method, Bytes: c.Bytes, Duration: c.Duration, Err: c.Err}
	if c.Err != nil {
		e.Reason = reason.StoreDown
	}
	x.observe(ctx, e)
}

// RecordRefused is told by the records.
func (x *requestState) RecordRefused(ctx context.Context, root *state.Root, bytes int, err error) {
	x.observe(ctx, Event{Kind: EventRefused, Reason: reasonOf(err), SessionID: root.ID(), Bytes: bytes})
}

// follow loads the record that the cookies refer to and merges it with them.
func (x *requestState) follow(ctx context.Context) (*state.View, error) {
	over := x.found.view.Winner
	rec, err := x.storage().Load(ctx, over)
	if err == nil {
		err = x.checkRollback(ctx, rec, over)
	}
	if err == nil {
		return x.viewWith(rec), nil
	}
	v := x.viewWith(nil)
	v.End(reason.StoreDown)
	if x.sessions.AbsentIfStoreDown {
		err = nil
	}
	return v, err
}

var errRolledBack = records.Down(reason.StoreRolledBack)

// checkRollback tells of a store that has lost what the cookies have seen. It is an
// error where the configuration says so.
func (x *requestState) checkRollback(ctx context.Context, rec *records.Record, head *state.Cookie) error {
	if rec == nil || rec.Revision.Number > head.Row.Number || rec.Revision == head.Row {
		return nil
	}
	x.observe(ctx, Event{Kind: EventRefused, Reason: reason.StoreRolledBack, SessionID: head.Root.ID()})
	if x.sessions.RefuseRolledBack {
		return errRolledBack
	}
	return nil
}

// viewWith is the session as the cookies and the record, if there is one, show
// it. What this request has already saved and not yet sent counts as cookies.
func (x *requestState) viewWith(rec *records.Record) *state.View {
	found, s := x.found, x.storage()
	s.SetRecord(rec)
	all := slices.Clone(found.view.Cookies)
	for _, c := range s.unsent {
		all = slices.DeleteFunc(all, func(old *state.Cookie) bool { return old.Tag == c.Tag })
		all = append(all, c)
	}
	var content *state.Cookie
	if rec != nil {
		content = rec.Content
	}
	v := &state.View{}
	v.Read(all, content, found.view.Loaded, x.sessions.idle, nil)
	v.Refused, v.Unopened, v.Imported = found.view.Refused, found.view.Unopened, found.view.Imported
	if rec != nil {
		v.RowRevision = rec.Revision
		if rec.Revoked && v.Verdict == reason.LoggedOut {
			v.Verdict = reason.Revoked
		}
	}
	return v
}

// endGeneration marks a generation that a logout or a renewal has ended, so that
// copies of its cookies are of no use.
func (x *requestState) endGeneration(ctx context.Context, head *state.Cookie, end int64) {
	x.storage().MarkEnded(ctx, head, end)
	if x.sessions.revocable() {
		x.storage().RememberEnded(&head.Root)
	}
}

// markerEnd is how long the marker of a renewal stays in the record: as long as a
// copy of the old cookies could be of use, from before the session was stored,
// too. If no replica asks for sessions in cookies, a reference is worth nothing
// without its record, and the marker only tells those in flight.
func (x *requestState) markerEnd(c *state.Cookie) int64 {
	if c.Stored() && !x.sessions.revocable() {
		return state.Millis(x.sessions.Clock()) + state.Settled
	}
	return c.End
}

// storedView is the view of a session of which nothing has changed if it is in
// the store, and so takes late changes; else nil.
func storedView(v *state.View) *state.View {
	if v == nil || v.Head == nil || !v.Stored() {
		return nil
	}
	return v
}
