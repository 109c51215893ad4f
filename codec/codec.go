package codec

import (
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// MaxPlaintext is the maximum size in bytes that [Seal] accepts and [Open]
// returns: 1 MiB, far more than any client stores in cookies. The header
// allows 16 MiB.
const MaxPlaintext = 1 << 20

// A Binding is the context for which a value is sealed. It is authenticated
// but not stored, so Open needs the same binding as Seal.
type Binding struct {
	// Audience separates programs that share a ring. "" is a valid audience.
	Audience string
	// Base is the cookie's name with its prefix, but without what the library
	// appends: "__Host-session".
	Base string
	// Suffix is the part after the name's dot, or "" if the name is Base.
	Suffix string
}

// maxText is the maximum number of characters that are decoded.
var maxText = SealedLen(MaxPlaintext)

// SealedLen returns the number of characters that [Seal] appends for a
// plaintext of the given number of bytes, under a key of format 1. No other
// format needs more.
func SealedLen(plaintext int) int { return encodedLen(MaxOverhead + plaintext) }

// Seal is [Formats.Seal] with only the built-in format 1.
func Seal(dst []byte, key *keyring.Key, b Binding, plaintext []byte) ([]byte, error) {
	return format1Only.Seal(dst, key, b, plaintext)
}

// Open is [Formats.Open] with only the built-in format 1.
func Open(dst []byte, ring *keyring.Ring, now time.Time, b Binding, value string) ([]byte, *keyring.Key, error) {
	return format1Only.Open(dst, ring, now, b, value)
}

// Seal encrypts and signs plaintext and appends the text to dst. The text is
// base64url, which is valid in a cookie value. The ring chooses the key
// ([keyring.Ring.Active]), and the key determines the format. The errors are
// [reason.NoKey], [reason.UnknownFormat] for a key of a format that f does not contain, and
// [reason.TooLarge].
func (f *Formats) Seal(dst []byte, key *keyring.Key, b Binding, plaintext []byte) ([]byte, error) {
	if key == nil {
		return dst, refuse(reason.NoKey, keyring.ID{})
	}
	format := f.of(key.Format())
	if format == nil {
		return dst, refuse(reason.UnknownFormat, key.ID())
	}
	if len(plaintext) > MaxPlaintext {
		return dst, refuse(reason.TooLarge, key.ID())
	}
	sealer, err := f.sealer(key)
	if err != nil {
		return dst, refuse(reason.UnknownFormat, key.ID())
	}
	h := Header{Format: key.Format(), KeyID: key.ID(), Total: format.Overhead() + len(plaintext)}
	buf := getBuffer(h.Total)
	defer putBuffer(buf)
	buf.ctx = b.context(buf.ctx[:0], h.Format)
	buf.bin = sealer.Seal(h.append(buf.bin[:0]), buf.ctx, plaintext)
	return appendEncoded(dst, buf.bin), nil
}

// Open decrypts a sealed value and appends the plaintext to dst. It also
// returns the key that opened the value, so that the caller can compare it
// with the active key. The key must be in ring and usable at the time now. The
// value must have been sealed with the same binding. Every error is an
// [*Error]. Open checks in this order: [reason.TooLarge] and [reason.WrongLength],
// [reason.Malformed], [reason.UnknownFormat], WrongLength for the length in the header,
// [reason.UnknownKey], [reason.DeadKey], [reason.WrongFormat], UnknownFormat for a format that
// cannot be used, and [reason.BadSeal]. On an error dst is returned unchanged.
func (f *Formats) Open(dst []byte, ring *keyring.Ring, now time.Time, b Binding, value string) ([]byte, *keyring.Key, error) {
	if len(value) > maxText {
		return dst, nil, refuse(reason.TooLarge, keyring.ID{})
	}
	if len(value) < headerText {
		return dst, nil, refuse(reason.WrongLength, keyring.ID{})
	}
	buf := getBuffer(decodedLen(len(value)))
	defer putBuffer(buf)
	bin, ok := appendDecoded(buf.bin[:0], value)
	if !ok {
		return dst, nil, refuse(reason.Malformed, keyring.ID{})
	}
	return f.openDecoded(dst, ring, now, b, buf, bin)
}

// openDecoded opens a decoded value that is at least as long as a header. It
// builds the context in buf.
func (f *Formats) openDecoded(dst []byte, ring *keyring.Ring, now time.Time, b Binding, buf *buffer, bin []byte) ([]byte, *keyring.Key, error) {
	h := parseHeader(bin)
	key, err := f.selectKey(ring, now, h, len(bin))
	if err != nil {
		return dst, nil, err
	}
	sealer, err := f.sealer(key)
	if err != nil {
		return dst, nil, refuse(reason.UnknownFormat, h.KeyID)
	}
	buf.ctx = b.context(buf.ctx[:0], h.Format)
	plaintext, ok := sealer.Open(dst, buf.ctx, bin)
	if !ok {
		return dst, nil, refuse(reason.BadSeal, h.KeyID)
	}
	return plaintext, key, nil
}

// selectKey checks the header and returns the key that it names. It handles no
// secret, so it need not run in constant time.
func (f *Formats) selectKey(ring *keyring.Ring, now time.Time, h Header, size int) (*keyring.Key, error) {
	format := f.of(h.Format)
	if format == nil {
		return nil, refuse(reason.UnknownFormat, keyring.ID{})
	}
	if h.Total != size || size < format.Overhead() || size > format.Overhead()+MaxPlaintext {
		return nil, refuse(reason.WrongLength, h.KeyID)
	}
	key, state := ring.Find(h.KeyID, now)
	switch {
	case state == keyring.Unknown:
		return nil, refuse(reason.UnknownKey, h.KeyID)
	case key == nil:
		return nil, refuse(reason.DeadKey, h.KeyID)
	case key.Format() != h.Format: // the key determines the format, not the client
		return nil, refuse(reason.WrongFormat, h.KeyID)
	}
	return key, nil
}
