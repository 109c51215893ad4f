package state

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
	"unsafe"
)

// Contents are CBOR (RFC 8949) in core deterministic encoding. This file encodes
// and scans it by hand, because a general decoder takes thirty times as long.
// Handlers' values are opaque byte strings here.

const (
	majorUint  = 0
	majorNeg   = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5

	simpleTrue = 0xf5
	simpleNull = 0xf6
)

// errMalformed is the error for any plaintext that this version does not write. It
// does not quote the bytes, which may be a visitor's data.
var errMalformed = errors.New("carryon: the opened cookie does not follow the layout of this version; " +
	"was it sealed by a newer one?")

// appendItemHead appends the head of a data item: its major type and a number.
func appendItemHead(b []byte, major byte, n uint64) []byte {
	m := major << 5
	switch {
	case n < 24:
		return append(b, m|byte(n))
	case n <= math.MaxUint8:
		return append(b, m|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, m|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, m|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, m|27), n)
	}
}

func appendUint(b []byte, n uint64) []byte { return appendItemHead(b, majorUint, n) }

// AppendBytes appends a byte string.
func AppendBytes(b, v []byte) []byte {
	return append(appendItemHead(b, majorBytes, uint64(len(v))), v...)
}

// AppendText appends a text string. It does not check that s is UTF-8.
func AppendText(b []byte, s string) []byte {
	return append(appendItemHead(b, majorText, uint64(len(s))), s...)
}

// MaxItemHead is the length of the longest item head, in bytes.
const MaxItemHead = 9

// AppendInt appends an integer.
//
// Handlers' values that are one integer, text or byte string are written by
// AppendInt, AppendText and AppendBytes, and read by Int, Text and Bytes. Package
// session encodes all other values.
func AppendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendItemHead(b, majorNeg, uint64(^n))
	}
	return appendUint(b, uint64(n))
}

// Text returns the content of raw if raw is exactly one text string. It does not
// check that the content is UTF-8.
func Text(raw []byte) ([]byte, bool) { return stringItem(raw, majorText) }

// Bytes returns the content of raw if raw is exactly one byte string.
func Bytes(raw []byte) ([]byte, bool) { return stringItem(raw, majorBytes) }

func stringItem(raw []byte, major byte) ([]byte, bool) {
	s := scanner{b: raw}
	n := s.itemHead(major)
	return raw[s.at:], !s.bad && n == uint64(s.left())
}

// Int returns the value of raw if raw is exactly one integer that fits an int64.
func Int(raw []byte) (int64, bool) {
	s := scanner{b: raw}
	major := s.peek() >> 5
	if major > majorNeg {
		return 0, false
	}
	n := s.itemHead(major)
	if s.bad || s.left() != 0 || n > math.MaxInt64 {
		return 0, false
	}
	if major == majorNeg {
		return ^int64(n), true
	}
	return int64(n), true
}

// scanner reads CBOR items from b. After the first fault bad stays true, so that
// callers need to check it only once. Each length is compared with the number of
// bytes left before it is used.
type scanner struct {
	b   []byte
	at  int // number of bytes of b that were read
	bad bool
}

func (s *scanner) fail() { s.bad, s.at = true, len(s.b) }

func (s *scanner) left() int { return len(s.b) - s.at }

func (s *scanner) err() error {
	if s.bad {
		return errMalformed
	}
	return nil
}

// peek returns the next byte, or 0xff at the end of b and after a fault. No item
// here begins with 0xff.
func (s *scanner) peek() byte {
	if uint(s.at) >= uint(len(s.b)) {
		return 0xff
	}
	return s.b[s.at]
}

func (s *scanner) take(n int) []byte {
	if n > s.left() {
		s.fail()
		return nil
	}
	v := s.b[s.at : s.at+n : s.at+n]
	s.at += n
	return v
}

// itemHead reads an item head of the given major type and returns its number. It
// refuses a form that is longer than necessary.
func (s *scanner) itemHead(major byte) uint64 {
	if first := s.peek(); first>>5 == major && first&31 < 24 {
		s.at++
		return uint64(first & 31)
	}
	return s.longItemHead(major)
}

// longItemHead reads an item head whose number follows in 1, 2, 4 or 8 bytes. The
// number must be too large for the shorter form.
func (s *scanner) longItemHead(major byte) uint64 {
	b := s.b[s.at:]
	var n, least uint64
	size := 0
	switch first := s.peek(); {
	case first == major<<5|24 && len(b) > 1:
		n, least, size = uint64(b[1]), 24, 2
	case first == major<<5|25 && len(b) > 2:
		n, least, size = uint64(binary.BigEndian.Uint16(b[1:])), 1<<8, 3
	case first == major<<5|26 && len(b) > 4:
		n, least, size = uint64(binary.BigEndian.Uint32(b[1:])), 1<<16, 5
	case first == major<<5|27 && len(b) > 8:
		n, least, size = binary.BigEndian.Uint64(b[1:]), 1<<32, 9
	}
	if size == 0 || n < least {
		s.fail()
		return 0
	}
	s.at += size
	return n
}

func (s *scanner) uint(most uint64) uint64 {
	n := s.itemHead(majorUint)
	if n > most {
		s.fail()
		return 0
	}
	return n
}

// count reads the item head of an array or a map. Each element takes at least one
// byte, so a count above the number of bytes left is a fault.
func (s *scanner) count(major byte) int {
	n := s.itemHead(major)
	if n > uint64(s.left()) {
		s.fail()
		return 0
	}
	return int(n)
}

func (s *scanner) bytes(most int) []byte {
	n := s.itemHead(majorBytes)
	if n > uint64(most) {
		s.fail()
		return nil
	}
	return s.take(int(n))
}

// name reads an entry's name: 1 to MaxName bytes of UTF-8.
func (s *scanner) name() string {
	n := s.itemHead(majorText)
	if n == 0 || n > MaxName {
		s.fail()
		return ""
	}
	v := s.take(int(n))
	if s.bad || !utf8.Valid(v) {
		s.fail()
		return ""
	}
	// The plaintext is never modified, so the string can share its memory.
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// flag reads true, because a flag that is false is left out.
func (s *scanner) flag() bool {
	if s.peek() != simpleTrue {
		s.fail()
		return false
	}
	s.at++
	return true
}
