package codec

import (
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// MaxPieces is the largest number of pieces that [Split] makes and [Join]
// accepts.
const MaxPieces = 64

// Split cuts a sealed value into pieces. limit returns the maximum length of
// the piece with the given number (from 0), in characters. The pieces share
// the value's memory. The first piece must hold the header. Split fails with
// [reason.TooLarge] if the first limit is below 12 characters, another limit is below
// one, or the value needs more than [MaxPieces] pieces.
func Split(value []byte, limit func(piece int) int) ([][]byte, error) {
	var pieces [][]byte
	if first := limit(0); first > 0 { // the others have a similar size
		pieces = make([][]byte, 0, min(len(value)/first+2, MaxPieces))
	}
	for len(value) > 0 {
		longest, least := limit(len(pieces)), 1
		if len(pieces) == 0 {
			least = headerText
		}
		if longest < least || len(pieces) == MaxPieces {
			return nil, refuse(reason.TooLarge, keyring.ID{})
		}
		n := min(longest, len(value))
		pieces = append(pieces, value[:n:n])
		value = value[n:]
	}
	return pieces, nil
}

// Join is [Formats.Join] with only the built-in format 1.
func Join(piece func(i int) (string, bool)) (value string, used int, err error) {
	return format1Only.Join(piece)
}

// Join reassembles a value from its pieces. piece returns the piece with the
// given number (from 0), and whether the client sent it. Join requests pieces
// in order, each at most twice, and none that it does not need. used is the
// number of pieces of the value; any further pieces are left over from another
// value.
//
// Join takes the length of the value from its header, which is not
// authenticated until [Open]. So the result proves nothing yet. Join allocates
// nothing based on that length; the pieces must have exactly that many
// characters. The errors are [reason.Torn] for a missing, empty or overlong piece,
// with used as its number, and those of Open for a header that cannot be read.
// Join returns a value of one piece without a copy.
func (f *Formats) Join(piece func(i int) (string, bool)) (value string, used int, err error) {
	first, have, used, err := f.count(piece)
	if err != nil || used == 1 {
		return first, used, err
	}
	var text strings.Builder
	text.Grow(have)
	for i := range used {
		p, _ := piece(i)
		text.WriteString(p)
	}
	return text.String(), used, nil
}

// OpenPieces is [Formats.Join] followed by [Formats.Open], with the same
// checks in the same order and the same errors. It saves the joined text: it
// decodes the pieces one by one after checking their number and length. used
// is the same as for Join, even if the value does not open. piece must return
// the same results each time.
func (f *Formats) OpenPieces(dst []byte, ring *keyring.Ring, now time.Time, b Binding, piece func(i int) (string, bool)) (plaintext []byte, key *keyring.Key, used int, err error) {
	first, have, used, err := f.count(piece)
	switch {
	case err != nil:
		return dst, nil, used, err
	case used == 1:
		plaintext, key, err = f.Open(dst, ring, now, b, first)
		return plaintext, key, used, err
	case have > maxText:
		return dst, nil, used, refuse(reason.TooLarge, keyring.ID{})
	}
	buf := getBuffer(decodedLen(have))
	defer putBuffer(buf)
	bin, ok := appendJoined(buf.bin[:0], used, piece)
	switch {
	case !ok:
		return dst, nil, used, refuse(reason.Malformed, keyring.ID{})
	case len(bin) < HeaderSize: // the first piece has changed since it was counted
		return dst, nil, used, refuse(reason.WrongLength, keyring.ID{})
	}
	plaintext, key, err = f.openDecoded(dst, ring, now, b, buf, bin)
	return plaintext, key, used, err
}

// count returns the first piece, the number of pieces, and their total length
// in characters. On an error first is empty.
func (f *Formats) count(piece func(i int) (string, bool)) (first string, have, used int, err error) {
	first, ok := piece(0)
	if !ok || first == "" {
		return "", 0, 0, refuse(reason.Torn, keyring.ID{})
	}
	h, err := Peek(first)
	if err != nil {
		return "", 0, 0, err
	}
	if f.of(h.Format) == nil {
		return "", 0, 0, refuse(reason.UnknownFormat, keyring.ID{}) // its header may be another
	}
	want := encodedLen(h.Total)
	have, used = len(first), 1
	for ; have < want; used++ {
		p, ok := piece(used)
		if !ok || p == "" || used == MaxPieces {
			return "", 0, used, refuse(reason.Torn, h.KeyID)
		}
		have += len(p)
	}
	if have > want {
		return "", 0, used - 1, refuse(reason.Torn, h.KeyID)
	}
	return first, have, used, nil
}

// appendJoined decodes the pieces as one text and appends the bytes to dst.
// Characters left over from a group of four at the end of a piece are decoded
// with those of the next piece.
func appendJoined(dst []byte, pieces int, piece func(i int) (string, bool)) ([]byte, bool) {
	var group [4]byte
	pending, ok := 0, true // number of characters in group, fewer than four
	for i := range pieces {
		p, _ := piece(i)
		if pending > 0 {
			n := copy(group[pending:], p)
			if pending, p = pending+n, p[n:]; pending < len(group) {
				continue
			}
			if dst, ok = appendDecoded(dst, string(group[:])); !ok {
				return dst, false
			}
		}
		whole := len(p) &^ 3
		if dst, ok = appendDecoded(dst, p[:whole]); !ok {
			return dst, false
		}
		pending = copy(group[:], p[whole:])
	}
	return appendDecoded(dst, string(group[:pending]))
}
