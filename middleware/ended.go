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

// refuseRevoked ends the session in the view if another request or a call of
// Revoke has ended it.
func (x *requestState) refuseRevoked(ctx context.Context, v *state.View) error {
	m := x.sessions
	if !m.revocable() || v.Head == nil {
		return nil
	}
	status, err := x.revocationStatus(ctx, v, m.staleness)
	return x.applyStatus(v, status, err)
}

// revocationStatus asks the store whether a session has been ended, by its id and
// by its subjects. age is how old the answer may be. If the session's own record
// has been loaded already, the question by id is left out, unless age is 0.
func (x *requestState) revocationStatus(ctx context.Context, v *state.View, age time.Duration) (status records.Status, err error) {
	storage := x.storage()
	if !v.Stored() || age == 0 {
		status, err = storage.SessionStatus(ctx, v.Head, age)
	}
	if v.Head.Subjects == nil || status.Ended {
		return status, err
	}
	subject, failed := storage.SubjectsStatus(ctx, v.Head.Subjects, age)
	return records.Status{Ended: subject.BoundUpTo >= v.Head.Bound}, cmp.Or(err, failed)
}

// applyStatus ends the session in the view if its status says so, or if the status
// is unknown and the configuration refuses such sessions.
func (x *requestState) applyStatus(v *state.View, status records.Status, err error) error {
	switch {
	case status.Ended: // even if the store has not answered; the status may be cached
		v.End(reason.Revoked)
		if status.LoggedOut {
			v.Verdict = reason.LoggedOut
		}
	case err != nil && x.sessions.config.Fallback.Revocation == RevocationStrict:
		v.End(reason.StoreDown)
		if x.sessions.config.Fallback.Outage == OutageAbsent {
			return nil
		}
		return err
	}
	return nil
}

// boundAt returns the time that a login seals into its session. The time is
// later than all revocations of the subjects so far, even those by a clock that is
// ahead of this one. If the store does not answer, boundAt uses the status that this replica
// has cached; a revocation shortly before the login may then end the new session
// too.
func (x *requestState) boundAt(ctx context.Context, o core.Outcome) int64 {
	if o.Changes == nil || o.Changes.Subjects == nil || !x.sessions.revocable() || o.Err != nil {
		return 0
	}
	status, _ := x.storage().SubjectsStatus(ctx, o.Changes.Subjects, 0)
	return min(status.BoundUpTo+1, state.MaxTime)
}

// checkRenewal asks the store whether a session has been ended, before its values
// get a new id. Values get a new id by a renewal, or if a handler destroys the
// session and sets values. The status that this replica has cached may be seconds
// old, and the request may have been open for longer. Without the check, a copy of
// an ended session would live on under the new id.
//
// If the session was logged out or renewed meanwhile, drop is true and the changes
// are dropped without an error. A login gets an error instead, because it must not
// seem to have succeeded. The exception is a login in a session without subjects:
// two such logins at once may both begin a session, and one of the two counts.
func (x *requestState) checkRenewal(ctx context.Context, o core.Outcome) (drop bool, err error) {
	v := o.View
	if !x.sessions.revocable() || v == nil || v.Head == nil || !o.Writes || !o.Changes.Renewed && !o.Changes.Destroyed {
		return false, nil
	}
	login := o.Changes.Subjects != nil
	status, err := x.revocationStatus(ctx, v, 0)
	if status.LoggedOut && login && v.Head.Subjects == nil {
		return false, nil
	}
	now := *v
	if err := x.applyStatus(&now, status, err); err != nil {
		return false, err
	}
	why := now.Reason()
	switch {
	case now.Verdict == reason.StoreDown:
		return false, session.ErrStoreDown
	case status.LoggedOut && !login:
		x.observe(ctx, Event{Kind: EventRefused, Reason: why, SessionID: v.Head.Root.ID()})
		return true, nil
	case status.Ended:
		return false, &endedError{why}
	}
	return false, nil
}
