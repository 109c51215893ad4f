package codec

import (
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// MaxPlaintext is the most that [Seal] takes and [Open] gives, in bytes: 1 MiB,
// which is far more than any client keeps in cookies. The header could say 16.
const MaxPlaintext = 1 << 20

// A Binding is what a value is sealed for. It is authenticated, not stored: to
// open the value, the same binding has to be given again.
type Binding struct {
	// Audience keeps apart programs that share a ring; "" is an audience too.
	Audience string
	// Base is the cookie's whole name with its prefix and without what the
	// library appends: "__Host-session".
	Base string
	// Suffix is what stands behind the name's dot; "" where the name is Base.
	Suffix string
}

// maxText is the most characters that are decoded.
var maxText = SealedLen(MaxPlaintext)

// SealedLen returns the number of characters that [Seal] appends for a
// plaintext of that many bytes under a key of format 1. No format takes more.
func SealedLen(plaintext int) int { return encodedLen(MaxOverhead + plaintext) }

// Seal is [Formats.Seal] for who has format 1 alone.
func Seal(dst []byte, key *keyring.Key, b Binding, plaintext []byte) ([]byte, error) {
	return format1Only.Seal(dst, key, b, plaintext)
}

// Open is [Formats.Open] for who has format 1 alone.
func Open(dst []byte, ring *keyring.Ring, now time.Time, b Binding, value string) ([]byte, *keyring.Key, error) {
	return format1Only.Open(dst, ring, now, b, value)
}

// Seal appends the sealed text of plaintext to dst: base64url characters, all of
// which a cookie's value may hold. Which key is fit to seal is the ring's to say
// ([keyring.Ring.Active]), and which format the key's. The errors are [NoKey],
// [UnknownFormat] for a key of a format that is not among these, and [TooLarge].
func (f *Formats) Seal(dst []byte, key *keyring.Key, b Binding, plaintext []byte) ([]byte, error) {
	if key == nil {
		return dst, refuse(NoKey, keyring.ID{})
	}
	format := f.of(key.Format())
	if format == nil {
		return dst, refuse(UnknownFormat, key.ID())
	}
	if len(plaintext) > MaxPlaintext {
		return dst, refuse(TooLarge, key.ID())
	}
	sealer, err := f.sealer(key)
	if err != nil {
		return dst, refuse(UnknownFormat, key.ID())
	}
	h := Header{Format: key.Format(), KeyID: key.ID(), Total: format.Overhead() + len(plaintext)}
	buf := getBuffer(h.Total)
	defer putBuffer(buf)
	buf.ctx = b.context(buf.ctx[:0], h.Format)
	buf.bin = sealer.Seal(h.append(buf.bin[:0]), buf.ctx, plaintext)
	return appendEncoded(dst, buf.bin), nil
}

// Open appends the plaintext of a sealed value to dst and returns the key that
// opened it, so that the caller can see whether it is still the one that seals.
// It finds the value's key in ring as of now, and opens only what was sealed for
// exactly this binding. Every error is an [*Error]; the reasons are, in the
// order in which they are looked for, [TooLarge] and [WrongLength], [Malformed],
// [UnknownFormat], WrongLength again (the header's number), [UnknownKey],
// [DeadKey], [WrongFormat] and [BadSeal]; and UnknownFormat again before BadSeal,
// where the format cannot be used. On an error dst is returned as it was.
func (f *Formats) Open(dst []byte, ring *keyring.Ring, now time.Time, b Binding, value string) ([]byte, *keyring.Key, error) {
	if len(value) > maxText {
		return dst, nil, refuse(TooLarge, keyring.ID{})
	}
	if len(value) < headerText {
		return dst, nil, refuse(WrongLength, keyring.ID{})
	}
	buf := getBuffer(decodedLen(len(value)))
	defer putBuffer(buf)
	bin, ok := appendDecoded(buf.bin[:0], value)
	if !ok {
		return dst, nil, refuse(Malformed, keyring.ID{})
	}
	return f.openDecoded(dst, ring, now, b, buf, bin)
}

// openDecoded opens a value that has a header at least; its context goes into buf.
func (f *Formats) openDecoded(dst []byte, ring *keyring.Ring, now time.Time, b Binding, buf *buffer, bin []byte) ([]byte, *keyring.Key, error) {
	h := parseHeader(bin)
	key, err := f.choose(ring, now, h, len(bin))
	if err != nil {
		return dst, nil, err
	}
	sealer, err := f.sealer(key)
	if err != nil {
		return dst, nil, refuse(UnknownFormat, h.KeyID)
	}
	buf.ctx = b.context(buf.ctx[:0], h.Format)
	plaintext, ok := sealer.Open(dst, buf.ctx, bin)
	if !ok {
		return dst, nil, refuse(BadSeal, h.KeyID)
	}
	return plaintext, key, nil
}

// choose finds the key that a header names, if everything else about it is in
// order. Nothing here is secret or authenticated, so it need not be constant
// in time.
func (f *Formats) choose(ring *keyring.Ring, now time.Time, h Header, size int) (*keyring.Key, error) {
	format := f.of(h.Format)
	if format == nil {
		return nil, refuse(UnknownFormat, keyring.ID{})
	}
	if h.Total != size || size < format.Overhead() || size > format.Overhead()+MaxPlaintext {
		return nil, refuse(WrongLength, h.KeyID)
	}
	key, state := ring.Find(h.KeyID, now)
	switch {
	case state == keyring.Unknown:
		return nil, refuse(UnknownKey, h.KeyID)
	case key == nil:
		return nil, refuse(DeadKey, h.KeyID)
	case key.Format() != h.Format: // the key says which format, never the client
		return nil, refuse(WrongFormat, h.KeyID)
	}
	return key, nil
}
