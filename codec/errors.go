package codec

import (
	"github.com/carryon-go/carryon/keyring"
)

// A Reason says why a value was refused. It is an error itself, so that
//
//	errors.Is(err, codec.UnknownKey)
//
// holds for every [*Error] with that reason. Reasons are for logs, metrics and
// the program; a visitor gets one answer whatever failed.
type Reason string

// The reasons, in the order in which [Open] looks for them.
const (
	// TooLarge: more than [MaxPlaintext], or more pieces than [MaxPieces], or
	// pieces too small to begin with.
	TooLarge Reason = "too large"
	// Torn: [Join] has a piece missing, an empty one, or one too long. The
	// missing piece may still be on its way, or the browser dropped it.
	Torn Reason = "torn"
	// Malformed: not canonical base64url without padding.
	Malformed Reason = "malformed"
	// WrongLength: too short to be a sealed value, or not as long as its header
	// says: it was cut, or something was added.
	WrongLength Reason = "wrong length"
	// UnknownFormat: the first byte, or the key to seal with, names no format that
	// this program has: see [Formats].
	UnknownFormat Reason = "unknown format"
	// UnknownKey: the ring has never heard of the key. Perhaps it is stale.
	UnknownKey Reason = "unknown key"
	// DeadKey: the ring remembers the key as expired or revoked.
	DeadKey Reason = "dead key"
	// WrongFormat: the key is in the ring, for another format than the value's.
	WrongFormat Reason = "wrong format"
	// BadSeal: the signature does not fit. The value was altered, or it was
	// sealed for another name or audience, or by another key with the same id;
	// these are one and the same to a signature, so no one can tell them apart.
	BadSeal Reason = "bad seal"
	// NoKey: [Seal] was given no key, which is how a ring without an active key
	// shows.
	NoKey Reason = "no key"
)

// Error returns the reason's words.
func (r Reason) Error() string { return string(r) }

var hints = map[Reason]string{
	TooLarge:      "the value is larger than can be sealed or cut into pieces: keep less in the session",
	Torn:          "a piece of the value is missing, empty or too long: it is unreadable until the client sends all of its pieces",
	Malformed:     "the value is not unpadded base64url: something on the way, or the client, altered it",
	WrongLength:   "the value is not as long as its header says: something on the way, or the client, cut it or added to it",
	UnknownFormat: "the format is none that this program has: was the value sealed by a newer version, or by one with more Formats?",
	UnknownKey:    "the value was sealed by a key that is not in the ring: bring the key to this replica, or let the value expire",
	DeadKey:       "the value was sealed by a key that has expired or was revoked: it can be thrown away",
	WrongFormat:   "the value is of another format than its key: a key seals one format only",
	BadSeal:       "the signature does not fit: the value was altered, or was sealed for another name or audience",
	NoKey:         "there is no key to seal with: give the ring a key that is active now",
}

// An Error is a refusal by this package: every error is one, but those of
// [NewFormats] and [Formats.Check], which are about the program. It
// never carries the value, the plaintext or key material; the key id in it is
// public, for it is readable at the front of every sealed value.
type Error struct {
	Reason Reason
	// KeyID is the id in the value's header, as the client sent it; zero where
	// the refusal came before it was read.
	KeyID keyring.ID
}

// Error returns a sentence with the key's id and what can be done.
func (e *Error) Error() string {
	if e.KeyID == (keyring.ID{}) {
		return "codec: " + string(e.Reason) + ": " + hints[e.Reason]
	}
	return "codec: " + string(e.Reason) + " (key " + e.KeyID.String() + "): " + hints[e.Reason]
}

// Unwrap returns the reason, for [errors.Is].
func (e *Error) Unwrap() error { return e.Reason }

func refuse(r Reason, id keyring.ID) error { return &Error{Reason: r, KeyID: id} }
