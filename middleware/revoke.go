package middleware

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/carryon-go/carryon/internal/state"
)

// errNothingRevoked is what revoking meets where the configuration has no store.
var errNothingRevoked = errors.New("carryon: revocations are kept in Config.Fallback.Store, which is nil; give it a store, for several replicas one that they share")

// errRevocationOff is what revoking meets where nobody would ask.
var errRevocationOff = errors.New("carryon: Config.Fallback.Revocation is RevocationOff, so that no replica asks whether sessions in cookies have been ended; leave it out, on every replica")

// Revoke ends the session with a public id ([session.Session.ID]), wherever its
// cookies are, however many copies there are of them, and whether it lives in
// cookies or in the store. The id changes with Renew: keep the one that the
// session has after a login. It is no error if there is no such session.
//
// When it has returned, this replica refuses the session at once, and others
// within Config.Fallback.RevocationMaxAge. The error is [session.ErrStoreDown] (wrapped)
// where the store could not be written: then nothing may be taken for revoked.
// How safe an acknowledged write is, is the store's to say (docs/stores.md).
func (m *Sessions) Revoke(ctx context.Context, id string) error {
	if m.Fallback.Store == nil {
		return errNothingRevoked
	}
	if m.Fallback.Revocation == RevocationOff && m.Fallback.Mode != AlwaysStored {
		return errRevocationOff
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(id); err != nil || len(raw) != 16 || len(id) != 22 {
		return errors.New("carryon: Revoke takes the 22 characters that session.Session.ID gives")
	}
	return m.storage(ctx).EndSession(ctx, state.RecordIDOf(id), m.longest())
}

// storage returns access to the store without a request.
func (m *Sessions) storage(ctx context.Context) *stored {
	_, exchange := m.Begin(ctx, Request{})
	x := exchange.ensureState()
	x.found = &x.result
	return x.storage()
}

// longest is how long a browser may keep a cookie that is set now, whatever
// Config.Lifetimes.Absolute was when it was set.
func (m *Sessions) longest() time.Time {
	return m.Clock().Add(MaxLifetime + state.Settled*time.Millisecond)
}

// RevokeSubject ends all sessions that were bound to the subject
// ([session.Session.Login]) before now: "log out everywhere". It counts for every
// session that a replica loads after it has returned, at this replica at once
// and at others within Config.Fallback.RevocationMaxAge. Logins that come after it are
// not concerned, however the replicas' clocks differ. For its error see
// [Sessions.Revoke].
func (m *Sessions) RevokeSubject(ctx context.Context, subject string) error {
	if m.Fallback.Store == nil {
		return errNothingRevoked
	}
	if m.Fallback.Revocation == RevocationOff {
		return errRevocationOff
	}
	if len(subject) == 0 || len(subject) > state.MaxSubject {
		return errors.New("carryon: a subject has 1 to 255 bytes; call RevokeSubject with the user's id")
	}
	return m.storage(ctx).EndSubject(ctx, []byte(subject), m.longest())
}
