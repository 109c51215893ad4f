package middleware

import (
	"cmp"
	"context"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// refuseRevoked takes the session out of the view if it has been ended from
// elsewhere. A stored session's own row has been loaded already.
func (x *requestState) refuseRevoked(ctx context.Context, v *state.View) error {
	m := x.sessions
	if !m.revocable() || v.Head == nil {
		return nil
	}
	told, err := x.askWhether(ctx, v, m.staleness)
	return x.ended(v, told, err)
}

// askWhether asks whether a session has been ended: by its id, unless its own
// record has been loaded already, and by its subject.
func (x *requestState) askWhether(ctx context.Context, v *state.View, age time.Duration) (told records.Status, err error) {
	storage := x.storage()
	if !v.Stored() || age == 0 {
		told, err = storage.SessionStatus(ctx, v.Head, age)
	}
	if v.Head.Subject == nil || told.Ended {
		return told, err
	}
	of, failed := storage.SubjectStatus(ctx, v.Head.Subject, age)
	return records.Status{Ended: of.BoundUpTo >= v.Head.Bound}, cmp.Or(err, failed)
}

// ended notes what came of a question.
func (x *requestState) ended(v *state.View, told records.Status, err error) error {
	switch {
	case told.Ended: // be it that the store does not answer now
		v.End(reason.Revoked)
		if told.LoggedOut {
			v.Verdict = reason.LoggedOut
		}
	case err != nil && x.sessions.RefuseIfRevocationUnknown:
		v.End(reason.StoreDown)
		if x.sessions.AbsentIfStoreDown {
			return nil
		}
		return err
	}
	return nil
}

// boundAt is the time that a login seals into its session: after all revocations
// of the subject so far, be they by a clock that is ahead of this one. Where the
// store cannot tell, it goes by what is known, and a revocation of the last minute
// may count against the new session as well.
func (x *requestState) boundAt(ctx context.Context, o core.Outcome) int64 {
	if o.Changes == nil || o.Changes.Subject == nil || !x.sessions.revocable() || o.Err != nil {
		return 0
	}
	told, _ := x.storage().SubjectStatus(ctx, o.Changes.Subject, 0)
	return min(told.BoundUpTo+1, state.MaxTime)
}

// checkRenewal asks the store again about a session whose values may go on under
// a new id: by a renewal, or by a handler that destroys it and sets values. What
// this replica knows of it may be seconds old, and the request may have been held
// open for longer. A copy of what was ended meanwhile must not escape its end. If
// it was logged out or renewed, what overlaps is dropped by intent, but a login
// must not seem to have succeeded. If no one was logged in, two logins at once may
// both begin a session; one of them counts.
func (x *requestState) checkRenewal(ctx context.Context, o core.Outcome) (drop bool, err error) {
	v := o.View
	if !x.sessions.revocable() || v == nil || v.Head == nil || !o.Writes || !o.Changes.Renewed && !o.Changes.Destroyed {
		return false, nil
	}
	login := o.Changes.Subject != nil
	told, err := x.askWhether(ctx, v, 0)
	if told.LoggedOut && login && v.Head.Subject == nil {
		return false, nil
	}
	now := *v
	if err := x.ended(&now, told, err); err != nil {
		return false, err
	}
	why := now.Reason()
	switch {
	case now.Verdict == reason.StoreDown:
		return false, session.ErrStoreDown
	case told.LoggedOut && !login:
		x.observe(ctx, Event{Kind: EventRefused, Reason: why, SessionID: v.Head.Root.ID()})
		return true, nil
	case told.Ended:
		return false, &endedError{why}
	}
	return false, nil
}
