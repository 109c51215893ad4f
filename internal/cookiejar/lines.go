package cookiejar

import (
	"math/bits"
	"net/http"
	"strconv"
	"unsafe"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
)

// LineFormat holds the parts that all Set-Cookie lines of a program share.
type LineFormat struct {
	Name       string // the base name
	Fixed      bool   // there is only one cookie, whose name is the base name
	Attributes string // the attributes after Max-Age; see [Attributes]
}

// Attributes returns the attributes after Max-Age, with which each line ends.
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

// NameLen returns the length of a cookie name without piece number.
func (f *LineFormat) NameLen() int {
	if f.Fixed {
		return len(f.Name)
	}
	return len(f.Name) + 1 + state.TagLen
}

// MaxAttributes returns the length of the longest attributes, including Max-Age.
func (f *LineFormat) MaxAttributes() int { return len("; Max-Age=34560000") + len(f.Attributes) }

// MaxOverhead returns the greatest length of a line without its value.
func (f *LineFormat) MaxOverhead() int { return f.NameLen() + len(".63=") + f.MaxAttributes() }

// AppendName appends the name of a piece and an equals sign: "base.tag.1=".
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

// AppendAttributes appends the attributes of a line. maxAge is in seconds; a
// negative one means no Max-Age.
func (f *LineFormat) AppendAttributes(b []byte, maxAge int64) []byte {
	if maxAge >= 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), maxAge, 10)
	}
	return append(b, f.Attributes...)
}

// AppendExpiry appends the lines that expire pieces of a tag. The bits of set are
// the piece numbers.
func (f *LineFormat) AppendExpiry(lines []string, tag string, set uint64) []string {
	all := make([]byte, 0, bits.OnesCount64(set)*f.MaxOverhead())
	for ; set != 0; set &= set - 1 {
		start := len(all)
		all = f.AppendAttributes(f.AppendName(all, tag, bits.TrailingZeros64(set)), 0)
		lines = append(lines, UnsafeString(all[start:]))
	}
	return lines
}

// AppendPieces appends the lines of a sealed text that is cut into pieces. limit
// returns the greatest length of a piece with a given number.
func (f *LineFormat) AppendPieces(lines []string, tag string, text []byte, limit func(piece int) int, maxAge int64) ([]string, error) {
	pieces, err := codec.Split(text, limit)
	if err != nil {
		return nil, err
	}
	all := make([]byte, 0, len(text)+len(pieces)*f.MaxOverhead()) // shared by all lines, which live as long as the header
	for i, piece := range pieces {
		start := len(all)
		all = f.AppendAttributes(append(f.AppendName(all, tag, i), piece...), maxAge)
		lines = append(lines, UnsafeString(all[start:]))
	}
	return lines, nil
}

// UnsafeString returns b as a string that shares its memory. The caller must not
// modify b afterwards.
func UnsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
