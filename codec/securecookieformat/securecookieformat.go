// Package securecookieformat seals with github.com/gorilla/securecookie
// (AES-256 in counter mode, then HMAC-SHA-256). Use it only if you must use a
// previously audited format. It is format 3 of SPEC.md:
//
//	value = header | date[8] | IV[16] | ciphertext | HMAC[32]
//
// The output of securecookie is base64 text, with another base64 inside. A
// third base64 layer would make the cookie more than twice as long as its
// content. So this package removes both layers when it seals, and restores the
// exact text before securecookie opens it.
//
// securecookie's limits of age and length are off, because this library has
// its own. The name that securecookie signs consists of the header and the
// binding.
//
// To use the format, pass [New]() to [codec.NewFormats]; a ring key with
// "format": 3 then seals with it. Prefer formats 1 and 2 unless this one is
// required: OWASP ASVS 5.0 disallows counter mode.
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
	// prefix is prepended to every plaintext, because securecookie seals an
	// empty plaintext but refuses to open it.
	prefix   = 0
	overhead = codec.HeaderSize + dateSize + aes.BlockSize + 1 + macSize
)

// encoding is the base64 of securecookie, with padding.
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
	// securecookie encrypts the slice from NopEncoder in place, so it gets a
	// copy.
	own := append([]byte{prefix}, plaintext...)
	text, err := s.sc.Encode(name(ctx, value), own)
	if err == nil {
		value, err = appendParts(value, text)
	}
	if err != nil {
		panic("securecookieformat: " + err.Error()) // no randomness, or an unknown form of securecookie
	}
	return value
}

func (s sealer) Open(dst, ctx, value []byte) ([]byte, bool) {
	header, body := value[:codec.HeaderSize], value[codec.HeaderSize:]
	var own []byte
	err := s.sc.Decode(name(ctx, header), joinParts(body), &own)
	if err != nil || own[0] != prefix {
		return nil, false
	}
	return append(dst, own[1:]...), true
}

// name returns the name that securecookie signs together with date and value.
// It begins with a length, so that it is unambiguous.
func name(ctx, header []byte) string {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 128), uint32(len(ctx)))
	return string(append(append(b, ctx...), header...))
}

var errForm = errors.New("securecookie returned another form than date|value|mac")

// appendParts splits the text of securecookie into its parts.
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

// joinParts restores the text from its parts.
func joinParts(body []byte) string {
	date, sealed, mac := body[:dateSize], body[dateSize:len(body)-macSize], body[len(body)-macSize:]
	raw := make([]byte, 0, 20+1+encoding.EncodedLen(len(sealed))+1+macSize)
	raw = strconv.AppendInt(raw, int64(binary.BigEndian.Uint64(date)), 10)
	raw = append(raw, '|')
	raw = encoding.AppendEncode(raw, sealed)
	raw = append(raw, '|')
	return encoding.EncodeToString(append(raw, mac...))
}
