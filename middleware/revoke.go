package middleware

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/carryon-go/carryon/internal/state"
)

// errNothingRevoked is the error of revoking without a store.
var errNothingRevoked = errors.New("carryon: revocations are kept in Config.Fallback.Store, which is nil; set it to a store that all replicas share")

// errRevocationOff is the error of revoking if no replica would ask the store.
var errRevocationOff = errors.New("carryon: Config.Fallback.Revocation is RevocationOff, so no replica asks whether sessions in cookies have been revoked; " +
	"leave it out on every replica")

// Revoke ends the session with the given public id ([session.Session.ID]). All
// copies of its cookies are then refused, whether the session is in cookies or in
// the store. Renew changes the id, so keep the id that the session has after the
// login. It is not an error if there is no such session.
//
// After Revoke has returned, this replica refuses the session at once, and other
// replicas within Config.Fallback.RevocationMaxAge. If the store could not be
// written, the error is [session.ErrStoreDown] (wrapped), and the session is
// probably still valid: call Revoke again. For how durable a store's writes are,
// see docs/stores.md.
func (m *Sessions) Revoke(ctx context.Context, id string) error {
	if m.config.Fallback.Store == nil {
		return errNothingRevoked
	}
	if m.config.Fallback.Revocation == RevocationOff && m.config.Fallback.Mode != AlwaysStored {
		return errRevocationOff
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(id); err != nil || len(raw) != 16 || len(id) != 22 {
		return errors.New("carryon: the id is not a session's public id; call Revoke with the 22 characters that session.Session.ID returns")
	}
	return m.storage(ctx).EndSession(ctx, state.RecordIDOf(id), m.latestEnd())
}

// storage returns access to the store without a request.
func (m *Sessions) storage(ctx context.Context) *stored {
	_, exchange := m.Begin(ctx, Request{})
	x := exchange.ensureState()
	x.found = &x.result
	return x.storage()
}

// latestEnd returns the latest time until which a browser may keep a cookie that is
// set now, under any Config.Lifetimes.Absolute.
func (m *Sessions) latestEnd() time.Time {
	return m.config.Clock().Add(MaxLifetime + state.Settled*time.Millisecond)
}

// RevokeSubject ends all sessions that were bound to the subject
// ([session.Session.Login]) before now: "log out everywhere". It counts for every
// session that is loaded later: at this replica at once, and at others within
// Config.Fallback.RevocationMaxAge. Later logins are not affected, even if the
// replicas' clocks differ. Its errors are those of [Sessions.Revoke].
func (m *Sessions) RevokeSubject(ctx context.Context, subject string) error {
	switch {
	case m.config.Fallback.Store == nil:
		return errNothingRevoked
	case m.config.Fallback.Revocation == RevocationOff:
		return errRevocationOff
	case !isSubject(subject):
		return errNoSubject
	}
	return m.storage(ctx).EndSubject(ctx, []byte(subject), m.latestEnd())
}

func isSubject(s string) bool { return len(s) > 0 && len(s) <= state.MaxSubject }

// errNoSubject is the error for a string that cannot be a session's subject.
var errNoSubject = errors.New("carryon: a subject has 1 to 255 bytes; pass the user's id, as at the login")
