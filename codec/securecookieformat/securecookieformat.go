// Package securecookieformat seals by github.com/gorilla/securecookie (AES-256 in
// counter mode, then HMAC-SHA-256), for who has to use a form that was audited
// before. It is format 3 of SPEC.md:
//
//	value = header | date[8] | IV[16] | ciphertext | HMAC[32]
//
// What securecookie gives is text: base64 of a date, of base64, and of an HMAC.
// Twice base64 in a third one would make a cookie more than twice as long as what
// is in it, so both are taken off, and put on again before securecookie opens the
// value: it sees its own text, to the letter.
//
// securecookie's limits of age and length are off, for the ones of this library
// are on. The name that it signs is the header and all that a value is bound to.
//
// A program that is to open or seal the format passes [New]() in its formats; a
// ring whose key says "format": 3 has it sealed. Formats 1 and 2 are the better
// choice where nobody asks for this one: OWASP ASVS 5.0 disallows counter mode.
package securecookieformat

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/gorilla/securecookie"

	"github.com/carryon-go/carryon/codec"
)

// New returns format 3, for [codec.NewFormats].
func New() codec.Format { return format{} }

const (
	dateSize = 8
	macSize  = sha256.Size
	// front goes before every plaintext: securecookie seals an empty one, and does
	// not open it.
	front    = 0
	overhead = codec.HeaderSize + dateSize + aes.BlockSize + 1 + macSize
)

// encoding is securecookie's base64, with padding.
var encoding = base64.URLEncoding

type format struct{}

func (format) Number() byte  { return 3 }
func (format) Overhead() int { return overhead }

func (format) Sealer(derive func(string, int) []byte) (codec.Sealer, error) {
	sc := securecookie.New(derive("sign", 32), derive("encrypt", 32))
	sc.SetSerializer(securecookie.NopEncoder{}).MaxAge(0).MaxLength(0)
	return sealer{sc}, nil
}

type sealer struct{ sc *securecookie.SecureCookie }

func (s sealer) Seal(value, ctx, plaintext []byte) []byte {
	// On a copy: securecookie encrypts in place what NopEncoder hands it.
	own := append([]byte{front}, plaintext...)
	text, err := s.sc.Encode(name(ctx, value), own)
	if err == nil {
		value, err = appendParts(value, text)
	}
	if err != nil {
		panic("securecookieformat: " + err.Error()) // without randomness, or with another form of securecookie
	}
	return value
}

func (s sealer) Open(dst, ctx, value []byte) ([]byte, bool) {
	header, body := value[:codec.HeaderSize], value[codec.HeaderSize:]
	var own []byte
	err := s.sc.Decode(name(ctx, header), whole(body), &own)
	if err != nil || own[0] != front {
		return nil, false
	}
	return append(dst, own[1:]...), true
}

// name is what securecookie signs in front of date and value. Its length comes
// first, so that nothing else is read into it.
func name(ctx, header []byte) string {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 128), uint32(len(ctx)))
	return string(append(append(b, ctx...), header...))
}

var errForm = errors.New("securecookie gives another form than date|value|mac")

// appendParts takes securecookie's text apart.
func appendParts(dst []byte, text string) ([]byte, error) {
	raw, err := encoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	date, rest, ok := bytes.Cut(raw, []byte("|"))
	at := len(rest) - macSize - 1
	if !ok || at < 0 || rest[at] != '|' {
		return nil, errForm
	}
	seconds, err := strconv.ParseInt(string(date), 10, 64)
	if err != nil {
		return nil, err
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(seconds))
	if dst, err = encoding.AppendDecode(dst, rest[:at]); err != nil {
		return nil, err
	}
	return append(dst, rest[at+1:]...), nil
}

// whole puts the parts together again: the text that they came from.
func whole(body []byte) string {
	date, sealed, mac := body[:dateSize], body[dateSize:len(body)-macSize], body[len(body)-macSize:]
	raw := make([]byte, 0, 20+1+encoding.EncodedLen(len(sealed))+1+macSize)
	raw = strconv.AppendInt(raw, int64(binary.BigEndian.Uint64(date)), 10)
	raw = append(raw, '|')
	raw = encoding.AppendEncode(raw, sealed)
	raw = append(raw, '|')
	return encoding.EncodeToString(append(raw, mac...))
}
