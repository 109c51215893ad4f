package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/reason"
)

var (
	// ErrNoValue is returned (wrapped) by [Key.Lookup] if no value is set.
	ErrNoValue = errors.New("carryon: the session has no value under this key")

	// ErrTooLarge is matched by every [*TooLargeError].
	ErrTooLarge = core.ErrorFor(reason.TooLarge, "the session does not fit the limits of its cookies")

	// ErrLate is returned by [Session.Err] and [Session.Save] if the session was
	// changed after the response's header had been written.
	ErrLate = core.ErrLate

	// ErrUnknownKey is returned by the commit if a request changed the session
	// although some of its cookies were sealed with a key that this replica does
	// not know. The write could hide values that other replicas can read, or be
	// lost there. Renew, Login and Destroy succeed.
	ErrUnknownKey = core.ErrorFor(reason.UnknownKey, "the session's cookies were sealed with a key that this replica does not have")

	// ErrStoreDown is matched by errors of a stored session if the store
	// (middleware.Config.Fallback) cannot be reached, is full, or was too busy with
	// other writers of the same session. It is wrapped together with the store's
	// own error. Sessions in cookies are not affected.
	ErrStoreDown = core.ErrorFor(reason.StoreDown, "the session store failed")

	// ErrEnded is returned by the commit if a request renews a session that was
	// logged out, renewed or revoked since the request read it. Its values must not
	// continue under a new id. If the visitor sends the request again, it finds no
	// session.
	ErrEnded = errors.New("carryon: the session was ended while this request used it; the visitor may send the request again")

	// ErrNoKey is returned by the commit if no key of the ring is active.
	ErrNoKey = core.ErrorFor(reason.NoKey, "no key of the ring is active")
)

// Limit names a limit that a session can exceed.
type Limit string

// The limits.
const (
	// LimitCookieBytes: one cookie (Config.Cookie.FixedName keeps the session in one).
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

// TooLargeError reports that a session exceeds a limit. Nothing was sent, and the
// visitor's cookies are unchanged. It matches [ErrTooLarge].
type TooLargeError struct {
	Limit    Limit
	Need     int         // how much of Limit is needed, including other cookies and a reserve
	Max      int         // how much Limit allows; 0 if only the store knows
	Others   int         // bytes of other programs' cookies in the request
	Session  int         // bytes of the session before sealing
	Platform string      // the platform whose limits these are; "" for the default
	Largest  []EntrySize // the largest entries, the largest first
}

// Error returns the limit, the numbers and advice. It contains no values.
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

// EncodeError reports that a value could not be encoded. The commit returns it.
type EncodeError struct {
	Key string // the key's name
	Err error  // of the encoder
}

// Error returns the key's name and the cause. It does not contain the value.
func (e *EncodeError) Error() string {
	return fmt.Sprintf("carryon: the value for session key %q cannot be encoded: %s", e.Key, discreet(e.Err))
}

// Unwrap returns the encoder's error.
func (e *EncodeError) Unwrap() error { return e.Err }

// DecodeError reports that a stored value does not decode as the key's type. The
// value stays until it is set or deleted. Only [Key.Update] makes the commit return
// it.
type DecodeError struct {
	Key string // the key's name
	Err error  // of the decoder
}

// Error returns the key's name and the cause. It does not contain the value.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("carryon: the value of session key %q does not decode as the key's type; "+
		"set or delete it, or give the type its old form: %s", e.Key, discreet(e.Err))
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }
