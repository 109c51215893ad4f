package codec

import (
	"strings"
	"time"

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
	if first := limit(0); first > 0 { // the others have about as many
		pieces = make([][]byte, 0, min(len(value)/first+2, MaxPieces))
	}
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

// OpenPieces is [Formats.Join] and then [Formats.Open], with the same checks in
// the same order, and the same errors: for who reads cookies with every request
// and has no use for the joined text, which it does not make. The pieces are
// decoded one by one, once their number and length are known to be right. used is
// Join's, whether the value opens or not. piece has to give the same each time.
func (f *Formats) OpenPieces(dst []byte, ring *keyring.Ring, now time.Time, b Binding, piece func(i int) (string, bool)) (plaintext []byte, key *keyring.Key, used int, err error) {
	first, have, used, err := f.count(piece)
	switch {
	case err != nil:
		return dst, nil, used, err
	case used == 1:
		plaintext, key, err = f.Open(dst, ring, now, b, first)
		return plaintext, key, used, err
	case have > maxText:
		return dst, nil, used, refuse(TooLarge, keyring.ID{})
	}
	buf := getBuffer(decodedLen(have))
	defer putBuffer(buf)
	bin, ok := appendJoined(buf.bin[:0], used, piece)
	switch {
	case !ok:
		return dst, nil, used, refuse(Malformed, keyring.ID{})
	case len(bin) < HeaderSize: // the first piece is another one by now
		return dst, nil, used, refuse(WrongLength, keyring.ID{})
	}
	plaintext, key, err = f.openDecoded(dst, ring, now, b, buf, bin)
	return plaintext, key, used, err
}

// count finds out how many pieces the value has, and how many characters these
// have, for Join: on an error first is empty.
func (f *Formats) count(piece func(i int) (string, bool)) (first string, have, used int, err error) {
	first, ok := piece(0)
	if !ok || first == "" {
		return "", 0, 0, refuse(Torn, keyring.ID{})
	}
	h, err := Peek(first)
	if err != nil {
		return "", 0, 0, err
	}
	if f.of(h.Format) == nil {
		return "", 0, 0, refuse(UnknownFormat, keyring.ID{}) // its header may be another
	}
	want := encodedLen(h.Total)
	have, used = len(first), 1
	for ; have < want; used++ {
		p, ok := piece(used)
		if !ok || p == "" || used == MaxPieces {
			return "", 0, used, refuse(Torn, h.KeyID)
		}
		have += len(p)
	}
	if have > want {
		return "", 0, used - 1, refuse(Torn, h.KeyID)
	}
	return first, have, used, nil
}

// appendJoined appends the bytes of the text that the pieces make together to
// dst. What the end of a piece leaves of a group of four is decoded with the
// characters that follow; the end of the last one is the end of the text.
func appendJoined(dst []byte, pieces int, piece func(i int) (string, bool)) ([]byte, bool) {
	var group [4]byte
	pending, ok := 0, true // the characters in group: fewer than four
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
