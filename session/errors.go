package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/carryon-go/carryon/internal/core"
)

var (
	// ErrNoValue is returned (wrapped) by [Key.Lookup] where nothing is set.
	ErrNoValue = errors.New("carryon: the session has no value under this key")

	// ErrTooLarge is matched by every [*TooLargeError].
	ErrTooLarge = errors.New("carryon: the session does not fit the limits of its cookies")

	// ErrLate is returned by [Session.Err] and [Session.Save] after a change that
	// came when the response's header had been written already.
	ErrLate = core.ErrLate

	// ErrUnknownKey is the commit's error where a request changed the session
	// while some of its cookies were sealed by a key that this replica does not
	// know: the write could hide what another replica can read, or be lost
	// there. Renew and Destroy go through.
	ErrUnknownKey = errors.New("carryon: the session's cookies are sealed by a key that this replica does not have; " +
		"compare the rings of the replicas with 'carryon keys list' and give them the same one")

	// ErrStoreDown is matched where a session lives in the store
	// (middleware.Config.Fallback) and the store cannot be reached, is full, or
	// has been too busy with other writers of the same session. The store's own
	// error is wrapped beside it. Sessions in cookies do not notice.
	ErrStoreDown = errors.New("carryon: the store that holds the session does not answer as it should; " +
		"see that it runs and that this replica reaches it")

	// ErrEnded is the commit's error where a request renews or binds a session
	// that was logged out, renewed or revoked since the request saw it: nothing of
	// it may go on under a new id. Sent again, the request finds no session.
	ErrEnded = errors.New("carryon: the session was ended while this request, or this replica, still took it for alive; " +
		"the visitor may send the request again")

	// ErrNoKey is the commit's error where no key of the ring seals at this time.
	ErrNoKey = errors.New("carryon: no key of the ring is active, so nothing can be sealed; " +
		"look at it with 'carryon keys list' and add a key with 'carryon keys rotate'")
)

// TooLargeError says by how much a session exceeds which limit. Nothing was
// sent; the visitor's cookies are as they were. It matches [ErrTooLarge].
type TooLargeError struct {
	Platform string   // whose limits these are, "" for the default's
	Limit    string   // which limit, e.g. "cookie bytes"
	Max      int      // that limit's number; 0 where only the store knows it
	Need     int      // what the session would take of it
	Session  int      // bytes of the session before sealing
	Largest  []string // the names of the largest values, largest first, with their bytes: "cart (3120)"
}

// Error names the numbers and what to do; no value is in it.
func (e *TooLargeError) Error() string {
	msg := fmt.Sprintf("carryon: the session (%d bytes) needs %d of %d %s", e.Session, e.Need, e.Max, e.Limit)
	if e.Max == 0 {
		msg = fmt.Sprintf("carryon: the session (%d bytes) needs %d %s", e.Session, e.Need, e.Limit)
	}
	if e.Platform != "" {
		msg += fmt.Sprintf(", the limit of platform %q", e.Platform)
	}
	if len(e.Largest) > 0 {
		msg += "; largest values: " + strings.Join(e.Largest, ", ")
	}
	return msg + "; keep less in it, or raise Config.Limits as far as what stands before the program allows"
}

// Is matches [ErrTooLarge].
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

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

// DecodeError says that a stored value is not of the key's type (any more). It
// does not fail the commit; the value stays until it is set or deleted.
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
