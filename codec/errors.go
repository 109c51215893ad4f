package codec

import (
	"github.com/carryon-go/carryon/keyring"
)

// A Reason is why a value was refused. It is an error itself, so that
//
//	errors.Is(err, codec.UnknownKey)
//
// is true for every [*Error] with that reason. Reasons are for logs, metrics
// and the program; visitors get the same response for all of them.
type Reason string

// The reasons, in the order in which [Open] checks them.
const (
	// TooLarge: more than [MaxPlaintext] bytes, more than [MaxPieces] pieces,
	// or a piece limit that is too small.
	TooLarge Reason = "too large"
	// Torn: [Join] found a missing, empty or overlong piece. A missing piece
	// may still arrive, or the browser has dropped it.
	Torn Reason = "torn"
	// Malformed: not canonical base64url without padding.
	Malformed Reason = "malformed"
	// WrongLength: too short for a sealed value, or not as long as its header
	// says, because it was truncated or extended.
	WrongLength Reason = "wrong length"
	// UnknownFormat: the first byte, or the key to seal with, names a format
	// that this program does not have; see [Formats].
	UnknownFormat Reason = "unknown format"
	// UnknownKey: the ring does not list the key. The ring may be out of date.
	UnknownKey Reason = "unknown key"
	// DeadKey: the ring remembers the key as expired or revoked.
	DeadKey Reason = "dead key"
	// WrongFormat: the key is in the ring, but its format is not that of the
	// value.
	WrongFormat Reason = "wrong format"
	// BadSeal: the signature does not match. The value was altered, or sealed
	// for another name or audience, or sealed by another key with the same id.
	// The signature check cannot distinguish these cases.
	BadSeal Reason = "bad seal"
	// NoKey: [Seal] got no key, because the ring has no active key.
	NoKey Reason = "no key"
)

// Error returns the name of the reason.
func (r Reason) Error() string { return string(r) }

var hints = map[Reason]string{
	TooLarge:      "the value is too large to be sealed or split into pieces: store less in the session",
	Torn:          "a piece of the value is missing, empty or too long: the value is unreadable until the client sends all pieces",
	Malformed:     "the value is not unpadded base64url: the client, or something in between, altered it",
	WrongLength:   "the value is not as long as its header says: the client, or something in between, truncated or extended it",
	UnknownFormat: "this program does not have the format: was the value sealed by a newer version, or with more Formats?",
	UnknownKey:    "the value was sealed by a key that is not in the ring: update the ring of this replica, or let the value expire",
	DeadKey:       "the value was sealed by a key that has expired or was revoked: the value can be discarded",
	WrongFormat:   "the value and its key have different formats: a key seals only one format",
	BadSeal:       "the signature does not match: the value was altered, or was sealed for another name or audience",
	NoKey:         "there is no key to seal with: the ring needs an active key",
}

// An Error reports that this package refused a value. All errors of the
// package are Errors, except those of [NewFormats] and [Formats.Check], which
// report programming mistakes. An Error never contains the value, the
// plaintext or key material. Its key id is public, because every sealed value
// begins with it.
type Error struct {
	Reason Reason
	// KeyID is the id in the value's header, as sent by the client. It is zero
	// if the value was refused before the header was read.
	KeyID keyring.ID
}

// Error returns the reason, the key's id and advice.
func (e *Error) Error() string {
	if e.KeyID == (keyring.ID{}) {
		return "codec: " + string(e.Reason) + ": " + hints[e.Reason]
	}
	return "codec: " + string(e.Reason) + " (key " + e.KeyID.String() + "): " + hints[e.Reason]
}

// Unwrap returns the reason, for [errors.Is].
func (e *Error) Unwrap() error { return e.Reason }

func refuse(r Reason, id keyring.ID) error { return &Error{Reason: r, KeyID: id} }
