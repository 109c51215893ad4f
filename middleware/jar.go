package middleware

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/core"
)

// sealedCookie is one cookie of ours as the request carries it, unopened.
type sealedCookie struct {
	name   string // as sent
	suffix string
	value  string
}

// maxOurs bounds how many cookies of ours one request may make us open: four
// times the 20 that are ever sent to one browser.
const maxOurs = 80

// ours picks the cookies of base name out of the Cookie header lines. Every
// different value of a name is kept (a sibling domain can plant one before the
// good one); exact repeats, which some Lambda adapters make, are not.
func ours(lines []string, base string) (found []sealedCookie, tooMany bool) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			c, ok := ourCookie(trim(pair), base)
			if !ok || slices.Contains(found, c) {
				continue
			}
			if len(found) == maxOurs {
				return found, true
			}
			found = append(found, c)
		}
	}
	return found, false
}

func ourCookie(pair, base string) (c sealedCookie, ok bool) {
	if len(pair) <= len(base) || !strings.HasPrefix(pair, base) || pair[len(base)] != '.' {
		return c, false
	}
	name, value, ok := strings.Cut(pair, "=")
	name, value = trim(name), unquote(trim(value))
	suffix := name[min(len(base)+1, len(name)):]
	if !ok || !core.IsSuffix(suffix) {
		return c, false
	}
	return sealedCookie{name: name, suffix: suffix, value: value}, true
}

func trim(s string) string { return strings.Trim(s, " \t") }

// unquote takes off the quotes that RFC 6265 lets a cookie value have and that
// some proxies add.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
