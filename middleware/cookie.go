package middleware

import (
	"math/bits"
	"net/http"
	"strconv"
	"unsafe"

	"github.com/carryon-go/carryon/codec"
)

// cookieAttributes is the constant tail of every Set-Cookie line.
func (s *settings) cookieAttributes() string {
	a := "; Path=" + s.Path
	if s.Domain != "" {
		a += "; Domain=" + s.Domain
	}
	if !s.DangerouslyAllowPlainHTTP {
		a += "; Secure"
	}
	a += "; HttpOnly"
	switch s.SameSite {
	case http.SameSiteStrictMode:
		a += "; SameSite=Strict"
	case http.SameSiteNoneMode:
		a += "; SameSite=None"
	default:
		a += "; SameSite=Lax"
	}
	if s.Partitioned {
		a += "; Partitioned"
	}
	if s.Priority != "" {
		a += "; Priority=" + s.Priority
	}
	return a
}

// partitionBytes is what Chromium keeps of the partitioned cookies of one site
// under another: 10 KiB, names and values counted.
const partitionBytes = 10 << 10

// appendAttributes ends a line; maxAge in seconds, negative for none.
func (s *settings) appendAttributes(b []byte, maxAge int64) []byte {
	if maxAge >= 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), maxAge, 10)
	}
	return append(b, s.attributes...)
}

// appendName appends the name of a piece and what follows it: "base.suffix.1=".
func (s *settings) appendName(b []byte, suffix string, piece int) []byte {
	b = append(b, s.Name...)
	if !s.FixedName {
		b = append(append(b, '.'), suffix...)
	}
	if piece > 0 {
		b = strconv.AppendInt(append(b, '.'), int64(piece), 10)
	}
	return append(b, '=')
}

// longestLine is the most that a line has beside the value.
func (s *settings) longestLine() int {
	return s.scale.base + digits(codec.MaxPieces) + 1 + s.scale.attributes
}

// appendExpiry appends the Set-Cookie lines that remove pieces of a fragment, whose
// numbers are the bits of set.
func (s *settings) appendExpiry(lines []string, suffix string, set uint64) []string {
	all := make([]byte, 0, bits.OnesCount64(set)*s.longestLine())
	for ; set != 0; set &= set - 1 {
		start := len(all)
		all = s.appendAttributes(s.appendName(all, suffix, bits.TrailingZeros64(set)), 0)
		lines = append(lines, asString(all[start:]))
	}
	return lines
}

// asString is b, which must not be written to afterwards.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
