package codec

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"sync"
)

// The text form is base64url (RFC 4648, section 5) without padding, and there
// is exactly one text for any bytes: who could write a second one could give
// one session two cookie values, and slip past whatever compares them.
// Go's own Strict still skips CR and LF, hence a decoder of ours.

// alphabet is base64url's.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// notInAlphabet is above every three bytes that four characters stand for.
const notInAlphabet = 1 << 24

// parts are what a character stands for as the first to the fourth of a group:
// six of the group's 24 bits. One look at a table replaces a look and a shift,
// which is what decoding consists of. It is behind a pointer, as pairs is, so
// that its address stays in a register and is not made anew for each look.
var parts = func() *[4][256]uint32 {
	table := new([4][256]uint32)
	for place := range table {
		for c := range table[place] {
			table[place][c] = notInAlphabet
		}
		for i, c := range []byte(alphabet) {
			table[place][c] = uint32(i) << (18 - 6*place)
		}
	}
	return table
}()

// appendDecoded appends the bytes that text stands for to dst. It refuses any
// byte outside of the alphabet, a lone last character, and a last character
// whose spare bits are not zero.
func appendDecoded(dst []byte, text string) ([]byte, bool) {
	if len(text)%4 == 1 {
		return dst, false
	}
	n := len(dst)
	dst = slices.Grow(dst, decodedLen(len(text)))
	dst = dst[:n+decodedLen(len(text))]
	out := dst[n:]
	var all uint32 // tells in the end whether any character was not in the alphabet
	p := parts
	// Eight characters at a time, as long as the two bytes too many that are
	// written then are overwritten by what follows. That something is left over
	// lets the compiler step through both without looking for their ends.
	for len(text) > 8 && len(out) > 8 {
		t := text[:8]
		x := p[0][t[0]] | p[1][t[1]] | p[2][t[2]] | p[3][t[3]]
		y := p[0][t[4]] | p[1][t[5]] | p[2][t[6]] | p[3][t[7]]
		all |= x | y
		binary.BigEndian.PutUint64(out, uint64(x)<<40|uint64(y)<<16)
		text, out = text[8:], out[6:]
	}
	for len(text) >= 4 && len(out) >= 3 {
		x := p[0][text[0]] | p[1][text[1]] | p[2][text[2]] | p[3][text[3]]
		all |= x
		out[0], out[1], out[2] = byte(x>>16), byte(x>>8), byte(x)
		text, out = text[4:], out[3:]
	}
	var x uint32 // the 24 bits of a group that is cut short
	for i := range min(len(text), 3) {
		x |= p[i][text[i]]
	}
	for i := range out {
		out[i] = byte(x >> (16 - 8*i))
	}
	all |= x
	spare := x & (1<<(24-8*len(out)) - 1)
	return dst, all < notInAlphabet && spare == 0
}

func decodedLen(n int) int { return base64.RawURLEncoding.DecodedLen(n) }

// pairs are the two characters of twelve bits, the first one in the low byte.
var pairs = func() *[1 << 12]uint16 {
	table := new([1 << 12]uint16)
	for i := range table {
		table[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return table
}()

// appendEncoded appends the text of bin to dst: six bytes at a time, as long as
// eight can be read, and the rest by the standard library. It allocates nothing
// where dst has room for the text.
func appendEncoded(dst, bin []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, encodedLen(len(bin)))
	out := dst[n : n+encodedLen(len(bin))]
	p := pairs
	for len(bin) > 8 && len(out) > 8 {
		v, o := binary.BigEndian.Uint64(bin), out[:8]
		binary.LittleEndian.PutUint16(o, p[v>>52])
		binary.LittleEndian.PutUint16(o[2:], p[v>>40&0xfff])
		binary.LittleEndian.PutUint16(o[4:], p[v>>28&0xfff])
		binary.LittleEndian.PutUint16(o[6:], p[v>>16&0xfff])
		bin, out = bin[6:], out[8:]
	}
	return base64.RawURLEncoding.AppendEncode(dst[:cap(dst)-cap(out)], bin)
}

// A buffer is room for one decoded value. Buffers are pooled so that neither
// Seal nor Open allocates for what only passes through; they hold ciphertext and
// its context, never plaintext.
type buffer struct {
	bin []byte
	ctx []byte
}

// maxPooled keeps one huge value from pinning its memory for good.
const maxPooled = 128 << 10

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func getBuffer(size int) *buffer {
	b := buffers.Get().(*buffer)
	if cap(b.bin) < size {
		b.bin = make([]byte, 0, size)
	}
	return b
}

func putBuffer(b *buffer) {
	if cap(b.bin)+cap(b.ctx) <= maxPooled {
		buffers.Put(b)
	}
}
