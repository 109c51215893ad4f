package oidcsession

import (
	"context"
	"fmt"

	"github.com/carryon-go/carryon/session"
)

// EventKind is the kind of an [Event].
type EventKind string

// The kinds of events.
const (
	// EventSignedIn: a visitor has signed in; Sizes is what the session holds.
	EventSignedIn EventKind = "signed in"
	// EventSignInFailed: a sign-in has failed with Err.
	EventSignInFailed EventKind = "sign-in failed"
	// EventIDTokenDropped: the ID token was not kept, because the session was too
	// large; Sizes is what the session held.
	EventIDTokenDropped EventKind = "ID token dropped"
	// EventRefreshed: an access token was refreshed.
	EventRefreshed EventKind = "refreshed"
	// EventRefreshFailed: a refresh has failed with Err. The visitor is still signed in.
	EventRefreshFailed EventKind = "refresh failed"
	// EventSignedOut: a session has ended, by the visitor (Err is nil), or because the
	// provider has refused its refresh token.
	EventSignedOut EventKind = "signed out"
	// EventBackChannelLogout: the provider has ended sessions. Err is set if its token
	// was refused, or if the revocation could not be stored.
	EventBackChannelLogout EventKind = "back-channel logout"
)

// Event is one thing that happened. It never carries a token.
type Event struct {
	Kind    EventKind
	Subject string // the "sub" of the ID token, if it is known
	Sizes   Sizes
	Err     error
}

// Sizes are the lengths of the tokens in a session, in bytes.
type Sizes struct {
	Access, Refresh, ID int
}

// String returns the sizes in words.
func (s Sizes) String() string {
	return fmt.Sprintf("access token %d bytes, refresh token %d bytes, ID token %d bytes", s.Access, s.Refresh, s.ID)
}

// Sizes returns the lengths of the visitor's tokens.
func (a *Auth[C]) Sizes(ctx context.Context) Sizes { return a.sizesOf(a.session(ctx)) }

func (a *Auth[C]) sizesOf(s *session.Session) Sizes {
	acc, _ := a.keys.account.Get(s)
	return Sizes{Access: len(acc.Access), Refresh: len(acc.Refresh), ID: len(a.keys.idToken.GetOr(s, ""))}
}
