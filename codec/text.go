package codec

import (
	"encoding/base64"
	"slices"
	"sync"
)

// The text form is base64url (RFC 4648, section 5) without padding, and there
// is exactly one text for any bytes: who could write a second one could give
// one session two cookie values, and slip past whatever compares them.
// Go's own Strict still skips CR and LF, hence a decoder of ours.

const notInAlphabet = 0xff

var alphabet = func() (table [256]byte) {
	for i := range table {
		table[i] = notInAlphabet
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		table[c] = byte(i)
	}
	return table
}()

// appendDecoded appends the bytes that text stands for to dst. It refuses any
// byte outside of the alphabet, a lone last character, and a last character
// whose spare bits are not zero.
func appendDecoded(dst []byte, text string) ([]byte, bool) {
	n := len(dst)
	dst = slices.Grow(dst, decodedLen(len(text)))
	dst = dst[:n+decodedLen(len(text))]
	out := dst[n:]
	var all byte // the high bit shows if any character was not in the alphabet
	for ; len(text) >= 4 && len(out) >= 3; text, out = text[4:], out[3:] {
		a, b, c, d := alphabet[text[0]], alphabet[text[1]], alphabet[text[2]], alphabet[text[3]]
		all |= a | b | c | d
		out[0], out[1], out[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
	}
	var spare byte
	switch len(text) {
	case 1:
		return dst, false
	case 2:
		a, b := alphabet[text[0]], alphabet[text[1]]
		all, spare = all|a|b, b<<4
		out[0] = a<<2 | b>>4
	case 3:
		a, b, c := alphabet[text[0]], alphabet[text[1]], alphabet[text[2]]
		all, spare = all|a|b|c, c<<6
		out[0], out[1] = a<<2|b>>4, b<<4|c>>2
	}
	return dst, all < 64 && spare == 0
}

func decodedLen(n int) int { return base64.RawURLEncoding.DecodedLen(n) }

func appendEncoded(dst, bin []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(dst, bin)
}

// A buffer is room for one decoded value. Buffers are pooled so that neither
// Seal nor Open allocates for what only passes through; they hold ciphertext and
// its context, never plaintext.
type buffer struct {
	bin []byte
	ctx []byte
}

// maxPooled keeps one large value from pinning its memory for good.
const maxPooled = 64 << 10

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
