package codec

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"sync"
)

// The text form is base64url (RFC 4648, section 5) without padding. Each byte
// string has exactly one text; otherwise one session could have two cookie
// values, which would defeat comparisons. Go's Strict decoder still skips CR
// and LF, so this package has its own decoder.

// alphabet is the alphabet of base64url.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// notInAlphabet is larger than any value of four characters (24 bits).
const notInAlphabet = 1 << 24

// parts maps a character at the first to fourth place of a group to its bits
// within the 24 bits of the group. Each table lookup replaces a lookup and a
// shift, which dominate the cost of decoding. parts and pairs are pointers so
// that the address stays in a register.
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

// appendDecoded decodes text and appends the bytes to dst. It refuses any byte
// outside the alphabet, a single last character, and a last character whose
// spare bits are not zero.
func appendDecoded(dst []byte, text string) ([]byte, bool) {
	if len(text)%4 == 1 {
		return dst, false
	}
	n := len(dst)
	dst = slices.Grow(dst, decodedLen(len(text)))
	dst = dst[:n+decodedLen(len(text))]
	out := dst[n:]
	var all uint32 // contains notInAlphabet if any character is outside the alphabet
	p := parts
	// Decode eight characters at a time. Each step writes two extra bytes,
	// which the next step overwrites, so at least one step must remain. This
	// also lets the compiler omit bounds checks.
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
	var x uint32 // the bits of an incomplete group
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

// pairs maps twelve bits to two characters, the first in the low byte.
var pairs = func() *[1 << 12]uint16 {
	table := new([1 << 12]uint16)
	for i := range table {
		table[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return table
}()

// appendEncoded encodes bin and appends the text to dst. It encodes six bytes
// at a time while eight can be read, and the rest with the standard library.
// It allocates nothing if dst has enough capacity.
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

// A buffer holds one decoded value and its context. Buffers are pooled, so
// that Seal and Open allocate only for their results. They hold ciphertext,
// never plaintext.
type buffer struct {
	bin []byte
	ctx []byte
}

// maxPooled prevents the pool from keeping very large buffers.
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
