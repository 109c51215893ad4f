package codec

import (
	"encoding/base64"

	"github.com/carryon-go/carryon/keyring"
)

// headerText is the number of characters that hold the header. It is eleven
// rounded up to whole groups of four, so that the characters decode alone.
const headerText = 12

// A Header is what a sealed value says about itself in its first eight bytes:
// format byte, key id, and the decoded length as a 24-bit big-endian number.
// It is part of what is signed, but it is only to be believed once [Open] has
// opened the value.
type Header struct {
	Format byte
	KeyID  keyring.ID
	Total  int // bytes of the whole value when decoded, this header included
}

// Peek reads the header off the front of a sealed value or of its first piece,
// for display and for grouping. It proves nothing about the value: anyone can
// write these eight bytes. The errors are [WrongLength] and [Malformed].
func Peek(value string) (Header, error) {
	if len(value) < headerText {
		return Header{}, refuse(WrongLength, keyring.ID{})
	}
	var room [16]byte
	bin, ok := appendDecoded(room[:0], value[:headerText])
	if !ok {
		return Header{}, refuse(Malformed, keyring.ID{})
	}
	return parseHeader(bin), nil
}

// parseHeader needs HeaderSize bytes.
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

// encodedLen is the number of characters for n bytes.
func encodedLen(n int) int { return base64.RawURLEncoding.EncodedLen(n) }
