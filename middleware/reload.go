package middleware

import (
	"context"
	"errors"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// Reload is the session's Reload. What is in the store is read again; of cookies
// a request has no others than those it came with, but they may have ended since.
func (x *Exchange) Reload(ctx context.Context, have *core.View) (*core.View, error) {
	if w := x.work.Load(); w != nil {
		return w.reload(ctx, have)
	}
	return have, nil
}

func (x *work) reload(ctx context.Context, have *core.View) (*core.View, error) {
	now := *have
	v := &now
	if have.Head != nil && core.Millis(x.sessions.Clock()) >= have.Head.End {
		v.Verdict, v.Head, v.State, v.Imported = core.ExpiredEnd, nil, core.State{}, false
		return v, nil
	}
	if have.Ref != nil {
		rec, err := x.fetch(ctx, have.Ref)
		if err == nil && rec != nil && x.rolledBack(ctx, rec, have.Ref) && x.sessions.RefuseRolledBack {
			err = errRolledBack
		}
		if err != nil {
			return nil, err
		}
		if rec == nil || !rec.vacated() { // else it is in cookies that this request does not have
			v = x.merged(rec)
		}
	}
	if err := x.refuseRevoked(ctx, v); err != nil {
		return nil, err
	}
	return v, nil
}

var errRolledBack = storeDown(errors.New(string(session.StoreRolledBack)))
