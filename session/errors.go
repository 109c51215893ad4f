package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/reason"
)

var (
	// ErrNoValue is returned (wrapped) by [Key.Lookup] where nothing is set.
	ErrNoValue = errors.New("carryon: the session has no value under this key")

	// ErrTooLarge is matched by every [*TooLargeError].
	ErrTooLarge = core.ErrorFor(reason.TooLarge, "the session does not fit the limits of its cookies")

	// ErrLate is returned by [Session.Err] and [Session.Save] after a change that
	// came when the response's header had been written already.
	ErrLate = core.ErrLate

	// ErrUnknownKey is the commit's error where a request changed the session
	// while some of its cookies were sealed by a key that this replica does not
	// know: the write could hide what another replica can read, or be lost
	// there. Renew and Destroy go through.
	ErrUnknownKey = core.ErrorFor(reason.UnknownKey, "the session's cookies are sealed by a key that this replica does not have")

	// ErrStoreDown is matched where a session lives in the store
	// (middleware.Config.Fallback) and the store cannot be reached, is full, or
	// has been too busy with other writers of the same session. The store's own
	// error is wrapped beside it. Sessions in cookies do not notice.
	ErrStoreDown = core.ErrorFor(reason.StoreDown, "the store that holds the session does not answer as it should")

	// ErrEnded is the commit's error where a request renews or binds a session
	// that was logged out, renewed or revoked since the request saw it: nothing of
	// it may go on under a new id. Sent again, the request finds no session.
	ErrEnded = errors.New("carryon: the session was ended while this request, or this replica, still took it for alive; " +
		"the visitor may send the request again")

	// ErrNoKey is the commit's error where no key of the ring seals at this time.
	ErrNoKey = core.ErrorFor(reason.NoKey, "no key of the ring is active, so nothing can be sealed")
)

// Limit names a limit that a session can exceed.
type Limit string

// The limits.
const (
	// LimitCookieBytes: one cookie (Config.FixedName keeps the session in one).
	LimitCookieBytes Limit = "cookie bytes"
	// LimitCookies: the number of cookies in one request (Limits.Cookies).
	LimitCookies Limit = "cookies"
	// LimitRequestBytes: the request's Cookie header (Limits.RequestBytes).
	LimitRequestBytes Limit = "request bytes"
	// LimitResponseBytes: the Set-Cookie lines of one response
	// (Limits.ResponseBytes).
	LimitResponseBytes Limit = "response bytes"
	// LimitSetCookieLines: the number of Set-Cookie lines of one response
	// (Limits.SetCookieLines).
	LimitSetCookieLines Limit = "Set-Cookie lines"
	// LimitRecordBytes: one record of the store.
	LimitRecordBytes Limit = "record bytes"
	// LimitNewEntries: entries that parallel requests create at once. They would
	// fit one after another.
	LimitNewEntries Limit = "new entries at once"
)

// EntrySize is an entry's name and the bytes of its value.
type EntrySize struct {
	Name  string
	Bytes int
}

// TooLargeError says which limit a session exceeds, and by how much. Nothing was
// sent, and the visitor's cookies are as they were. It matches [ErrTooLarge].
type TooLargeError struct {
	Limit    Limit
	Need     int         // what the session would take of it, other cookies and what has to stay free included
	Max      int         // what it allows; 0 if only the store knows
	Others   int         // bytes that other programs' cookies take of the request
	Session  int         // bytes of the session before sealing
	Platform string      // whose limits these are, "" for the default's
	Largest  []EntrySize // the largest entries, the largest first
}

// Error says what to do first, then the numbers. No value is in it.
func (e *TooLargeError) Error() string {
	var b strings.Builder
	b.WriteString("carryon: ")
	if e.Limit == LimitNewEntries {
		fmt.Fprintf(&b, "too many parallel requests create entries of one session: %d more do not fit beside %d in flight; "+
			"send them one after another, or keep dynamic names in one map under one key", e.Need-e.Max, e.Max)
		return b.String()
	}
	b.WriteString("session too large")
	if e.Platform != "" {
		fmt.Fprintf(&b, " for platform %q", e.Platform)
	}
	fmt.Fprintf(&b, ": it needs %d", e.Need)
	if e.Max > 0 {
		fmt.Fprintf(&b, " of %d", e.Max)
	}
	fmt.Fprintf(&b, " %s", e.Limit)
	if e.Others > 0 {
		fmt.Fprintf(&b, " (other cookies: %d bytes)", e.Others)
	}
	for i, entry := range e.Largest {
		sep := ", "
		if i == 0 {
			sep = "; largest entries: "
		}
		fmt.Fprintf(&b, "%s%q (%d)", sep, entry.Name, entry.Bytes)
	}
	b.WriteString(". Store less, configure a store (Config.Fallback), or raise Config.Limits if your proxy or platform permits")
	return b.String()
}

// Unwrap returns [ErrTooLarge].
func (e *TooLargeError) Unwrap() error { return ErrTooLarge }

// EncodeError says that a value could not be encoded; the commit returns it.
type EncodeError struct {
	Key string // the key's name
	Err error  // what the encoder said
}

// Error names the key; the value is not in it.
func (e *EncodeError) Error() string {
	return fmt.Sprintf("carryon: the value for session key %q cannot be encoded: %s", e.Key, discreet(e.Err))
}

// Unwrap returns the encoder's error.
func (e *EncodeError) Unwrap() error { return e.Err }

// DecodeError says that a stored value is not of the key's type (any more). The
// value stays until it is set or deleted. Only [Key.Update] fails the commit with
// it.
type DecodeError struct {
	Key string // the key's name
	Err error  // what the decoder said
}

// Error names the key; the value is not in it.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("carryon: the value of session key %q does not decode as the key's type; "+
		"set or delete it, or give the type its old form: %s", e.Key, discreet(e.Err))
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }
