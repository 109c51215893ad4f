package state

import "encoding/base64"

// Packing shortens values that contain base64url text, such as tokens. Each run of
// base64url is stored as the bytes that it encodes: three bytes for four
// characters. Sealing encodes a cookie as base64url again, so a packed token takes
// about as much space in the cookie as the token itself.
//
//	packed = *( length literal quads *3OCTET )
//
// Length and quads are unsigned LEB128 numbers. The literal is copied, and each
// three bytes are the decoded form of four characters. A run is cut to a multiple
// of four characters, so that unpacking restores the value exactly.

const (
	minPackedValue = 64 // bytes; shorter values are not packed
	minPackedRun   = 24 // characters; shorter runs are not packed
)

// pack returns the packed form of a value, and reports whether that is shorter.
func pack(value []byte) (packed []byte, ok bool) {
	if len(value) < minPackedValue {
		return nil, false
	}
	done := 0
	for at := 0; at < len(value); {
		n := runLen(value[at:])
		if n < minPackedRun {
			at += n + 1
			continue
		}
		if packed == nil {
			packed = make([]byte, 0, len(value))
		}
		n -= n % 4
		packed = appendRun(packed, value[done:at], value[at:at+n])
		at += n
		done = at
	}
	if packed == nil {
		return nil, false
	}
	if done < len(value) {
		packed = appendRun(packed, value[done:], nil)
	}
	return packed, len(packed) < len(value)
}

// appendRun appends a literal and the run that follows it.
func appendRun(b, literal, run []byte) []byte {
	b = append(appendLEB(b, len(literal)), literal...)
	b = appendLEB(b, len(run)/4)
	at := len(b)
	b = append(b, make([]byte, len(run)/4*3)...)
	if _, err := base64.RawURLEncoding.Decode(b[at:], run); err != nil {
		panic("carryon: a run of base64url does not decode: " + err.Error()) // runLen counts only characters of the alphabet
	}
	return b
}

// runLen returns the number of base64url characters at the start of b.
func runLen(b []byte) int {
	for i, c := range b {
		if !inAlphabet[c] {
			return i
		}
	}
	return len(b)
}

var inAlphabet = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		in[c] = true
	}
	return in
}()

// unpack is the inverse of pack. packed must be valid; decoding checks that.
func unpack(packed []byte) []byte {
	n, _ := unpackedLen(packed)
	value := make([]byte, 0, n)
	for len(packed) > 0 {
		n, rest, _ := leb(packed)
		value, rest = append(value, rest[:n]...), rest[n:]
		n, rest, _ = leb(rest)
		value = base64.RawURLEncoding.AppendEncode(value, rest[:3*n])
		packed = rest[3*n:]
	}
	return value
}

// unpackedLen returns the length of the unpacked value, and reports whether packed
// is valid. Each number is compared with the number of bytes left.
func unpackedLen(packed []byte) (total int, ok bool) {
	for len(packed) > 0 {
		n, rest, ok := leb(packed)
		if !ok || n > len(rest) {
			return 0, false
		}
		total, rest = total+n, rest[n:]
		if n, rest, ok = leb(rest); !ok || n > len(rest)/3 {
			return 0, false
		}
		total, packed = total+4*n, rest[3*n:]
	}
	return total, true
}

func appendLEB(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// leb reads an LEB128 number of at most four bytes in its shortest form.
func leb(b []byte) (n int, rest []byte, ok bool) {
	for i := 0; i < len(b) && i < 4; i++ {
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return n, b[i+1:], i == 0 || b[i] != 0
		}
	}
	return 0, nil, false
}
