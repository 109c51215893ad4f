package codec

import (
	"strings"

	"github.com/carryon-go/carryon/keyring"
)

// MaxPieces is the largest number of pieces that [Split] cuts and [Join] reads.
const MaxPieces = 64

// Split cuts a value that [Seal] made into pieces, each as long as limit, asked
// with the piece's number from 0, allows in characters. The pieces share the
// value's memory. The first one holds at least the header: a limit of less than
// 12 characters for it, of less than one for another, or one that makes more
// than [MaxPieces] pieces, is refused as [TooLarge].
func Split(value []byte, limit func(piece int) int) ([][]byte, error) {
	var pieces [][]byte
	for len(value) > 0 {
		room, least := limit(len(pieces)), 1
		if len(pieces) == 0 {
			least = headerText
		}
		if room < least || len(pieces) == MaxPieces {
			return nil, refuse(TooLarge, keyring.ID{})
		}
		n := min(room, len(value))
		pieces = append(pieces, value[:n:n])
		value = value[n:]
	}
	return pieces, nil
}

// Join is [Formats.Join] for who has format 1 alone.
func Join(piece func(i int) (string, bool)) (value string, used int, err error) {
	return format1Only.Join(piece)
}

// Join puts the pieces of a value together again: piece returns the one with
// that number, from 0, and whether the client sent it. Join asks for them in
// order, each at most twice, and no further than it must; used is how many the
// value has, and what the client sent beyond them is left over from another one.
//
// How long the value is stands in the header, which nobody has authenticated
// yet; [Open] does, so the result proves nothing until it is opened. Until then
// the header's number is only a goal: nothing is allocated for it, and Join
// needs exactly as many characters to be there. A missing, empty or overlong
// piece is [Torn], with used as its number; a first piece without a header that
// can be read is refused as Open would refuse it. A value of one piece is
// returned as it is, without a copy.
func (f *Formats) Join(piece func(i int) (string, bool)) (value string, used int, err error) {
	first, ok := piece(0)
	if !ok || first == "" {
		return "", 0, refuse(Torn, keyring.ID{})
	}
	h, err := Peek(first)
	if err != nil {
		return "", 0, err
	}
	if f.of(h.Format) == nil {
		return "", 0, refuse(UnknownFormat, keyring.ID{}) // its header may be another
	}
	want := encodedLen(h.Total)
	have, used := len(first), 1
	for ; have < want; used++ {
		p, ok := piece(used)
		if !ok || p == "" || used == MaxPieces {
			return "", used, refuse(Torn, h.KeyID)
		}
		have += len(p)
	}
	if have > want {
		return "", used - 1, refuse(Torn, h.KeyID)
	}
	if used == 1 {
		return first, 1, nil
	}
	var text strings.Builder
	text.Grow(have)
	for i := range used {
		p, _ := piece(i)
		text.WriteString(p)
	}
	return text.String(), used, nil
}
