package codec

import (
	"encoding/base64"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// headerText is the number of characters that hold the header: eleven, rounded
// up to a multiple of four, so that they can be decoded alone.
const headerText = 12

// A Header is the first eight bytes of a sealed value: format, key id, and
// decoded length as a 24-bit big-endian number. It is signed, but trustworthy
// only after [Open] has opened the value.
type Header struct {
	Format byte
	KeyID  keyring.ID
	Total  int // bytes of the whole decoded value, including this header
}

// Peek reads the header of a sealed value or of its first piece, for display
// and grouping. It proves nothing about the value, because anyone can write
// these eight bytes. The errors are [reason.WrongLength] and [reason.Malformed].
func Peek(value string) (Header, error) {
	if len(value) < headerText {
		return Header{}, refuse(reason.WrongLength, keyring.ID{})
	}
	var buf [16]byte
	bin, ok := appendDecoded(buf[:0], value[:headerText])
	if !ok {
		return Header{}, refuse(reason.Malformed, keyring.ID{})
	}
	return parseHeader(bin), nil
}

// parseHeader reads a header from at least HeaderSize bytes.
func parseHeader(bin []byte) Header {
	return Header{
		Format: bin[0],
		KeyID:  keyring.ID(bin[1:5]),
		Total:  int(bin[5])<<16 | int(bin[6])<<8 | int(bin[7]),
	}
}

func (h Header) append(dst []byte) []byte {
	dst = append(append(dst, h.Format), h.KeyID[:]...)
	return append(dst, byte(h.Total>>16), byte(h.Total>>8), byte(h.Total))
}

// encodedLen returns the number of characters for n bytes.
func encodedLen(n int) int { return base64.RawURLEncoding.EncodedLen(n) }
