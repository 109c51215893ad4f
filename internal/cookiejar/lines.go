package cookiejar

import (
	"math/bits"
	"net/http"
	"strconv"
	"unsafe"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
)

// Form is what all Set-Cookie lines of a program share.
type LineFormat struct {
	Name       string // the base name
	Fixed      bool   // there is one cookie, of exactly that name
	Attributes string // after Max-Age; see [Attributes]
}

// Attributes returns the constant end of a Set-Cookie line.
func Attributes(path, domain string, secure bool, sameSite http.SameSite, partitioned bool, priority string) string {
	a := "; Path=" + path
	if domain != "" {
		a += "; Domain=" + domain
	}
	if secure {
		a += "; Secure"
	}
	a += "; HttpOnly"
	switch sameSite {
	case http.SameSiteStrictMode:
		a += "; SameSite=Strict"
	case http.SameSiteNoneMode:
		a += "; SameSite=None"
	default:
		a += "; SameSite=Lax"
	}
	if partitioned {
		a += "; Partitioned"
	}
	if priority != "" {
		a += "; Priority=" + priority
	}
	return a
}

// NameLen is the length of a name without piece number.
func (f *LineFormat) NameLen() int {
	if f.Fixed {
		return len(f.Name)
	}
	return len(f.Name) + 1 + state.TagLen
}

// MaxAttributes is the length of the longest attributes.
func (f *LineFormat) MaxAttributes() int { return len("; Max-Age=34560000") + len(f.Attributes) }

// Longest is the most that a line has beside the value.
func (f *LineFormat) MaxOverhead() int { return f.NameLen() + len(".63=") + f.MaxAttributes() }

// AppendName appends the name of a piece and what follows it: "base.tag.1=".
func (f *LineFormat) AppendName(b []byte, tag string, piece int) []byte {
	b = append(b, f.Name...)
	if !f.Fixed {
		b = append(append(b, '.'), tag...)
	}
	if piece > 0 {
		b = strconv.AppendInt(append(b, '.'), int64(piece), 10)
	}
	return append(b, '=')
}

// AppendAttributes ends a line. maxAge is in seconds; negative is no Max-Age.
func (f *LineFormat) AppendAttributes(b []byte, maxAge int64) []byte {
	if maxAge >= 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), maxAge, 10)
	}
	return append(b, f.Attributes...)
}

// AppendExpiry appends the lines that remove pieces of a tag, whose numbers are
// the bits of set.
func (f *LineFormat) AppendExpiry(lines []string, tag string, set uint64) []string {
	all := make([]byte, 0, bits.OnesCount64(set)*f.MaxOverhead())
	for ; set != 0; set &= set - 1 {
		start := len(all)
		all = f.AppendAttributes(f.AppendName(all, tag, bits.TrailingZeros64(set)), 0)
		lines = append(lines, UnsafeString(all[start:]))
	}
	return lines
}

// AppendPieces appends the lines of a sealed text that is cut into pieces, each
// of the length that room gives its number.
func (f *LineFormat) AppendPieces(lines []string, tag string, text []byte, room func(piece int) int, maxAge int64) ([]string, error) {
	pieces, err := codec.Split(text, room)
	if err != nil {
		return nil, err
	}
	all := make([]byte, 0, len(text)+len(pieces)*f.MaxOverhead()) // the lines share it: they live as long as the header does
	for i, piece := range pieces {
		start := len(all)
		all = f.AppendAttributes(append(f.AppendName(all, tag, i), piece...), maxAge)
		lines = append(lines, UnsafeString(all[start:]))
	}
	return lines, nil
}

// String returns b as a string. b must not be written to afterwards.
func UnsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
