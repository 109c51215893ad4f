package middleware

import (
	"context"
	"slices"

	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// storage returns the request's access to the store, allocating it on first use.
func (x *requestState) storage() *stored {
	if x.found.stored == nil {
		x.found.stored = &stored{Access: records.Access{Client: &x.sessions.records, Listener: (*backend)(x.Exchange)}}
	}
	return x.found.stored
}

// loadRecord loads the record that the cookies refer to and merges it with them.
func (x *requestState) loadRecord(ctx context.Context) (*state.View, error) {
	head := x.found.view.Winner
	rec, err := x.storage().Load(ctx, head)
	if err == nil {
		err = x.checkRollback(ctx, rec, head)
	}
	if err == nil {
		return x.viewWith(rec), nil
	}
	v := x.viewWith(nil)
	v.End(reason.StoreDown)
	if x.sessions.config.Fallback.Outage == OutageAbsent {
		err = nil
	}
	return v, err
}

var errRolledBack = records.Down(reason.StoreRolledBack)

// checkRollback reports a store that has lost writes: its record is older than the
// revision in the cookies. That is an error only if the configuration says so.
func (x *requestState) checkRollback(ctx context.Context, rec *records.Record, head *state.Cookie) error {
	if rec == nil || rec.Revision.Number > head.Row.Number || rec.Revision == head.Row {
		return nil
	}
	x.observe(ctx, Event{Kind: EventRefused, Reason: reason.StoreRolledBack, SessionID: head.Root.ID()})
	if x.sessions.config.Fallback.Outage == OutageStrict {
		return errRolledBack
	}
	return nil
}

// viewWith returns the session merged from the cookies and the record. rec is nil if
// there is no record. The cookies include those that this request has saved and not
// yet sent.
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

// endGeneration marks a generation as ended in the store, after a logout or a
// renewal, so that copies of its cookies are refused.
func (x *requestState) endGeneration(ctx context.Context, head *state.Cookie, end int64) {
	x.storage().MarkEnded(ctx, head, end)
	if x.sessions.revocable() {
		x.storage().RememberEnded(&head.Root)
	}
}

// markerEnd returns the time until which the record keeps the marker of a renewal.
// Because of the marker, copies of the old cookies are refused, even those from
// before the session was stored. So the marker stays until those cookies expire.
// Without revocation, the marker of a stored session stays only for requests in
// flight: copies of its cookies are references, which are worthless without the
// record.
func (x *requestState) markerEnd(c *state.Cookie) int64 {
	if c.Stored() && !x.sessions.revocable() {
		return state.Millis(x.sessions.config.Clock()) + state.Settled
	}
	return c.End
}

// storedView returns v if the session is in the store, where it can be changed after
// the header was sent; else nil.
func storedView(v *state.View) *state.View {
	if v == nil || v.Head == nil || !v.Stored() {
		return nil
	}
	return v
}
