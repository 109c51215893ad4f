package policy

import (
	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
)

// Size is the size of cookies in a request and in a response.
type Size struct {
	Cookies  int
	Request  int // bytes of the Cookie header: names, values and separators
	Response int // bytes of the Set-Cookie lines
}

func (s Size) plus(o Size) Size {
	return Size{s.Cookies + o.Cookies, s.Request + o.Request, s.Response + o.Response}
}

func (s Size) minus(o Size) Size {
	return Size{s.Cookies - o.Cookies, s.Request - o.Request, s.Response - o.Response}
}

// lineOverhead is the length of a Set-Cookie line without name, value and attributes.
const lineOverhead = len("Set-Cookie: \r\n")

// Sizer computes the sizes of a program's cookies.
type Sizer struct {
	Name        int // length of a name without piece number: base, dot, tag
	Attributes  int // length of the longest attributes
	CookieBytes int // Limits.CookieBytes
}

// PieceLimit returns the greatest length of a piece's value. piece is the number of
// the piece, from 0.
func (s Sizer) PieceLimit(piece int) int {
	return s.CookieBytes - s.Name - Digits(piece) - 1 - s.Attributes
}

// Digits returns the length that a piece number adds to a name: 2 for ".7", 3 for
// ".12".
func Digits(piece int) int {
	switch {
	case piece == 0:
		return 0
	case piece < 10:
		return 2
	}
	return 3
}

// Of returns the size of a cookie, which may need several pieces.
func (s Sizer) Of(c *state.Cookie) Size { return s.Sealed(len(c.Plaintext())) }

// Sealed returns the size of the cookie for a plaintext of that many bytes. If it
// takes more than codec.MaxPieces pieces, Cookies is codec.MaxPieces + 1.
func (s Sizer) Sealed(plaintext int) (size Size) {
	for left := codec.SealedLen(plaintext); left > 0; size.Cookies++ {
		limit := s.PieceLimit(size.Cookies)
		if limit <= 12 || size.Cookies == codec.MaxPieces {
			return Size{codec.MaxPieces + 1, left + size.Request, left + size.Response}
		}
		n := min(left, limit)
		name := s.Name + Digits(size.Cookies) + 1
		size.Request += name + n + 2
		size.Response += name + n + s.Attributes + lineOverhead
		left -= n
	}
	return size
}

// Expiry returns the size of the lines that expire a number of pieces.
func (s Sizer) Expiry(pieces int) Size {
	return Size{Cookies: pieces, Response: pieces * (s.Name + Digits(codec.MaxPieces) + s.Attributes + lineOverhead)}
}
