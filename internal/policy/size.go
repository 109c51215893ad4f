package policy

import (
	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
)

// Size is what cookies take on the wire.
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

// lineOverhead is what a Set-Cookie line has beside name, value and attributes:
// the field's name, colon and space, and the line's end.
const lineOverhead = len("Set-Cookie: \r\n")

// Sizer knows how long the names and attributes of a program's cookies are.
type Sizer struct {
	Name        int // bytes of a name without piece number: base, dot, tag
	Attributes  int // bytes of the longest attributes
	CookieBytes int // Limits.CookieBytes
}

// Room returns how many bytes of a value the piece with a number may have.
func (s Sizer) PieceLimit(piece int) int {
	return s.CookieBytes - s.Name - Digits(piece) - 1 - s.Attributes
}

// Digits returns how much a piece number adds to a name: ".7", ".12".
func Digits(piece int) int {
	switch {
	case piece == 0:
		return 0
	case piece < 10:
		return 2
	}
	return 3
}

// Of returns the size of a cookie, in as many pieces as it needs.
func (s Sizer) Of(c *state.Cookie) Size { return s.Sealed(len(c.Plaintext())) }

// Sealed returns the size of a plaintext of that many bytes.
func (s Sizer) Sealed(plaintext int) (size Size) {
	for left := codec.SealedLen(plaintext); left > 0; size.Cookies++ {
		room := s.PieceLimit(size.Cookies)
		if room <= 12 || size.Cookies == codec.MaxPieces {
			return Size{codec.MaxPieces + 1, left + size.Request, left + size.Response}
		}
		n := min(left, room)
		name := s.Name + Digits(size.Cookies) + 1
		size.Request += name + n + 2
		size.Response += name + n + s.Attributes + lineOverhead
		left -= n
	}
	return size
}

// Expiry returns the size of the lines that remove so many pieces.
func (s Sizer) Expiry(pieces int) Size {
	return Size{Cookies: pieces, Response: pieces * (s.Name + Digits(codec.MaxPieces) + s.Attributes + lineOverhead)}
}
