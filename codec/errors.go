package codec

import (
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// An Error reports that this package refused a value. All errors of the
// package are Errors, except those of [NewFormats] and [Formats.Check], which
// report programming mistakes. An Error never contains the value, the
// plaintext or key material. Its key id is public, because every sealed value
// begins with it. Visitors get the same response for all reasons.
type Error struct {
	Reason reason.Reason
	// KeyID is the id in the value's header, as sent by the client. It is zero
	// if the value was refused before the header was read.
	KeyID keyring.ID
}

// Error returns the reason, the key's id, what the reason means, and its hint.
func (e *Error) Error() string {
	key := ""
	if e.KeyID != (keyring.ID{}) {
		key = " (key " + e.KeyID.String() + ")"
	}
	return "codec: " + e.Reason.String() + key + ": " + e.Reason.Meaning() + "; " + e.Reason.Hint()
}

// Unwrap returns the reason, for [errors.Is].
func (e *Error) Unwrap() error { return e.Reason }

func refuse(r reason.Reason, id keyring.ID) error { return &Error{Reason: r, KeyID: id} }
