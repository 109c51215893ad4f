package state

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
	"unsafe"
)

// The envelope is CBOR (RFC 8949) in its core deterministic form: definite
// lengths, shortest heads, no tags, no floats. A general decoder costs thirty
// times as much on it, so this file scans it by hand; handlers' values are
// opaque byte strings here.

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

// errMalformed is the only error for a plaintext that is not exactly what this
// version writes. It says nothing of the bytes: they are a visitor's.
var errMalformed = errors.New("carryon: the opened cookie does not follow the layout of this version; " +
	"was it sealed by a newer one?")

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

// AppendText appends a text string, which need not be UTF-8.
func AppendText(b []byte, s string) []byte {
	return append(appendItemHead(b, majorText, uint64(len(s))), s...)
}

// MaxHead is the most bytes that the head of an item has.
const MaxItemHead = 9

// AppendInt appends an integer. With AppendText and AppendBytes it writes the
// plainest of handlers' values, and Text, Bytes and Int read what is in just that
// form; the rest of CBOR is the business of package session.
func AppendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendItemHead(b, majorNeg, uint64(^n))
	}
	return appendUint(b, uint64(n))
}

// Text reads all of raw as a text string, which may not be UTF-8.
func Text(raw []byte) ([]byte, bool) { return stringItem(raw, majorText) }

// Bytes reads all of raw as a byte string.
func Bytes(raw []byte) ([]byte, bool) { return stringItem(raw, majorBytes) }

func stringItem(raw []byte, major byte) ([]byte, bool) {
	s := scanner{b: raw}
	n := s.itemHead(major)
	return raw[s.at:], !s.bad && n == uint64(s.left())
}

// Int reads all of raw as an integer.
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

// scanner reads the envelope. The first fault sticks in bad, so callers check
// once; every length is compared with what is left before it is believed.
type scanner struct {
	b   []byte
	at  int // of b has been read
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

// peek is the next byte, or 0xff (CBOR's "break", which is never valid here): so
// after a fault, when nothing is left.
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

// head reads one head of the given major type and refuses a longer form than
// needed.
func (s *scanner) itemHead(major byte) uint64 {
	if first := s.peek(); first>>5 == major && first&31 < 24 {
		s.at++
		return uint64(first & 31)
	}
	return s.longItemHead(major)
}

// longHead reads a head that has a number of its own: each form starts where the
// shorter one ends.
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

// count reads the head of an array or a map whose items take at least one
// byte each, so that a count is never larger than what is left to read.
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
	// The opened plaintext is never written to again, so that its names can
	// be strings without a copy each.
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// truth reads a flag, which is only ever written when it is set.
func (s *scanner) flag() bool {
	if s.peek() != simpleTrue {
		s.fail()
		return false
	}
	s.at++
	return true
}
