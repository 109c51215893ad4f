package core

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

// errMalformed is the one answer to a plaintext that is not exactly what this
// version writes. It says nothing of the bytes: they are a visitor's.
var errMalformed = errors.New("carryon: the opened fragment does not follow the layout of this version; " +
	"was it sealed by a newer one?")

func appendHead(b []byte, major byte, n uint64) []byte {
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

func appendUint(b []byte, n uint64) []byte { return appendHead(b, majorUint, n) }

func appendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// MaxHead is the most bytes that the head of an item has.
const MaxHead = 9

// AppendText, AppendBytes and AppendInt append a value of a handler's, and Text,
// Bytes and Int read one that is in just that form; the rest of CBOR is the
// business of package session.
func AppendText(b []byte, s string) []byte { return appendText(b, s) }

// AppendBytes appends a byte string.
func AppendBytes(b, v []byte) []byte { return appendBytes(b, v) }

// AppendInt appends an integer.
func AppendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNeg, uint64(^n))
	}
	return appendUint(b, uint64(n))
}

// Text reads all of raw as a text string, which may not be UTF-8.
func Text(raw []byte) ([]byte, bool) { return whole(raw, majorText) }

// Bytes reads all of raw as a byte string.
func Bytes(raw []byte) ([]byte, bool) { return whole(raw, majorBytes) }

func whole(raw []byte, major byte) ([]byte, bool) {
	s := scanner{rest: raw}
	n := s.head(major)
	return s.rest, !s.bad && n == uint64(len(s.rest))
}

// Int reads all of raw as an integer.
func Int(raw []byte) (int64, bool) {
	s := scanner{rest: raw}
	major := s.peek() >> 5
	if major > majorNeg {
		return 0, false
	}
	n := s.head(major)
	if s.bad || len(s.rest) != 0 || n > math.MaxInt64 {
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
	rest []byte
	bad  bool
}

func (s *scanner) fail() { s.bad, s.rest = true, nil }

func (s *scanner) err() error {
	if s.bad {
		return errMalformed
	}
	return nil
}

// peek is the next byte, or 0xff (CBOR's "break", which is never valid here).
func (s *scanner) peek() byte {
	if len(s.rest) == 0 {
		return 0xff
	}
	return s.rest[0]
}

func (s *scanner) take(n int) []byte {
	if n > len(s.rest) {
		s.fail()
		return nil
	}
	v := s.rest[:n:n]
	s.rest = s.rest[n:]
	return v
}

// head reads one head of the given major type and refuses a longer form than
// needed.
func (s *scanner) head(major byte) uint64 {
	first := s.peek()
	if s.bad || first>>5 != major {
		s.fail()
		return 0
	}
	s.rest = s.rest[1:]
	info := first & 31
	if info < 24 {
		return uint64(info)
	}
	return s.longHead(info)
}

func (s *scanner) longHead(info byte) uint64 {
	if info > 27 {
		s.fail()
		return 0
	}
	v := s.take(1 << (info - 24))
	var n uint64
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	// Each form starts where the shorter one ends: 24, 2^8, 2^16, 2^32.
	least := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}
	if s.bad || n < least[info-24] {
		s.fail()
		return 0
	}
	return n
}

func (s *scanner) uint(most uint64) uint64 {
	n := s.head(majorUint)
	if n > most {
		s.fail()
		return 0
	}
	return n
}

// count reads the head of an array or a map whose items take at least one
// byte each, so that a count is never larger than what is left to read.
func (s *scanner) count(major byte) int {
	n := s.head(major)
	if n > uint64(len(s.rest)) {
		s.fail()
		return 0
	}
	return int(n)
}

func (s *scanner) bytes(most int) []byte {
	n := s.head(majorBytes)
	if n > uint64(most) {
		s.fail()
		return nil
	}
	return s.take(int(n))
}

// name reads an entry's name: 1 to MaxName bytes of UTF-8.
func (s *scanner) name() string {
	n := s.head(majorText)
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
func (s *scanner) truth() bool {
	if s.peek() != simpleTrue {
		s.fail()
		return false
	}
	s.rest = s.rest[1:]
	return true
}
