package middleware

import (
	"net/http"
	"strconv"
	"unsafe"
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

// endLine ends a line, which must not be written to afterwards.
func (s *settings) endLine(line []byte, maxAge int64) string {
	line = s.appendAttributes(line, maxAge)
	return unsafe.String(unsafe.SliceData(line), len(line))
}

// expireLine is the Set-Cookie line that removes a cookie of ours.
func (s *settings) expireLine(name string) string {
	line := make([]byte, 0, len(name)+len("=; Max-Age=0")+len(s.attributes))
	return s.endLine(append(append(line, name...), '='), 0)
}
