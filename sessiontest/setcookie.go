package sessiontest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What browsers enforce. The numbers of Chromium 156 and Firefox 153, each
// measured in both; rfc6265bis section 5.6 and 5.7 says the same of the first
// three.
const (
	// MaxCookieBytes is the largest name + value that is kept; a larger cookie
	// is dropped whole. The "=" and the attributes do not count.
	MaxCookieBytes = 4096
	// MaxAttributeBytes is the longest attribute value that is honoured; a
	// longer one is ignored and the cookie is kept without it.
	MaxAttributeBytes = 1024
	// MaxAge is the longest life of a cookie; a longer one is cut to it.
	MaxAge = 400 * 24 * time.Hour
	// MaxPerSite is how many cookies one site may have. One more, and the
	// oldest are dropped until PurgedPerSite are left.
	MaxPerSite    = 180
	PurgedPerSite = 150
	// MaxPartitionedBytes is how many bytes of name + value all Partitioned
	// cookies of one site have together in Chromium (Firefox: 12,288); the
	// oldest are dropped without a sign.
	MaxPartitionedBytes = 10240
)

// attributes is what a Set-Cookie line says, before any rule is applied.
type attributes struct {
	name, value string
	domain      string // without the leading dot, lower case; "" = host only
	path        string // "" = none given, or not one that counts
	pathGiven   bool
	maxAge      *time.Duration
	expires     time.Time
	secure      bool
	httpOnly    bool
	partitioned bool
	sameSite    http.SameSite // 0 = none given
}

// parseSetCookie reads a line as rfc6265bis section 5.6 does. It is false for
// what a browser ignores whole: control characters, nothing at all, or a name
// and value of more than MaxCookieBytes.
func parseSetCookie(line string) (a attributes, ok bool) {
	if strings.ContainsFunc(line, isControl) {
		return a, false
	}
	pair, rest, _ := strings.Cut(line, ";")
	name, value, found := strings.Cut(pair, "=")
	if !found {
		name, value = "", pair
	}
	a.name, a.value = trim(name), trim(value)
	if size := len(a.name) + len(a.value); size == 0 || size > MaxCookieBytes {
		return a, false
	}
	for field := range strings.SplitSeq(rest, ";") {
		key, value, _ := strings.Cut(field, "=")
		if value = trim(value); len(value) <= MaxAttributeBytes {
			a.set(strings.ToLower(trim(key)), value)
		}
	}
	return a, true
}

// set takes one attribute. The last of a kind wins.
func (a *attributes) set(key, value string) {
	switch key {
	case "expires":
		if t, ok := parseDate(value); ok {
			a.expires = t
		}
	case "max-age":
		if d, ok := parseMaxAge(value); ok {
			a.maxAge = &d
		}
	case "domain":
		a.domain = strings.ToLower(strings.TrimPrefix(value, "."))
	case "path":
		a.path, a.pathGiven = value, strings.HasPrefix(value, "/")
	case "secure":
		a.secure = true
	case "httponly":
		a.httpOnly = true
	case "partitioned":
		a.partitioned = true
	case "samesite":
		a.sameSite = parseSameSite(value)
	}
}

// end is when the cookie ends: Max-Age over Expires, never more than MaxAge
// from now. Zero is the end of the browser session.
func (a *attributes) end(now time.Time) time.Time {
	limit := now.Add(MaxAge)
	end := a.expires
	if a.maxAge != nil {
		end = now.Add(*a.maxAge)
		if *a.maxAge <= 0 {
			end = time.Unix(0, 0)
		}
	}
	if end.After(limit) {
		return limit
	}
	return end
}

// allowed applies the rules of the name prefixes, whatever their case.
// "__Host-Http-" also begins with "__Host-", so both rules count for it.
func (a *attributes) allowed() bool {
	// A nameless cookie is sent as its value alone, so the value could pretend
	// to be a prefixed name.
	name := strings.ToLower(a.name)
	if name == "" {
		value := strings.ToLower(a.value)
		for _, prefix := range []string{"__secure-", "__host-", "__http-"} {
			if strings.HasPrefix(value, prefix) {
				return false
			}
		}
		return true
	}
	switch {
	case strings.HasPrefix(name, "__host-http-"):
		return a.hostBound() && a.httpOnly
	case strings.HasPrefix(name, "__host-"):
		return a.hostBound()
	case strings.HasPrefix(name, "__http-"):
		return a.secure && a.httpOnly
	case strings.HasPrefix(name, "__secure-"):
		return a.secure
	}
	return true
}

func (a *attributes) hostBound() bool {
	return a.secure && a.domain == "" && a.pathGiven && a.path == "/"
}

// parseMaxAge takes digits with or without a minus; a value too large for a
// duration is as good as MaxAge.
func parseMaxAge(s string) (time.Duration, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	if digits != s {
		return -1, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > int64(MaxAge/time.Second) {
		return MaxAge, true
	}
	return time.Duration(n) * time.Second, true
}

// parseDate knows the spellings that servers write; browsers guess at more.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{
		http.TimeFormat, time.RFC1123, "Mon, 02-Jan-2006 15:04:05 MST", time.RFC850, time.ANSIC,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func parseSameSite(s string) http.SameSite {
	switch strings.ToLower(s) {
	case "strict":
		return http.SameSiteStrictMode
	case "lax":
		return http.SameSiteLaxMode
	case "none":
		return http.SameSiteNoneMode
	}
	return 0
}

// defaultPath is rfc6265bis section 5.1.4: the directory of the page.
func defaultPath(u *url.URL) string {
	p := u.Path
	if i := strings.LastIndexByte(p, '/'); strings.HasPrefix(p, "/") && i > 0 {
		return p[:i]
	}
	return "/"
}

// trim takes away what rfc6265bis calls whitespace: space and tab.
func trim(s string) string { return strings.Trim(s, " \t") }

func isControl(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }
