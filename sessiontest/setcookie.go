package sessiontest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The limits that browsers enforce, measured in Chromium 156 and Firefox 153.
// rfc6265bis sections 5.6 and 5.7 define the first three.
const (
	// MaxCookieBytes is the largest accepted size of name + value. Browsers
	// drop a larger cookie entirely. The "=" and the attributes do not count.
	MaxCookieBytes = 4096
	// MaxAttributeBytes is the longest accepted attribute value. Browsers
	// ignore a longer attribute and keep the cookie without it.
	MaxAttributeBytes = 1024
	// MaxAge is the longest lifetime of a cookie. Browsers shorten a longer
	// one.
	MaxAge = 400 * 24 * time.Hour
	// MaxPerSite is how many cookies a site may have. If there is one more,
	// the oldest are dropped until PurgedPerSite are left.
	MaxPerSite    = 180
	PurgedPerSite = 150
	// MaxPartitionedBytes is the maximum total size of name + value of all
	// Partitioned cookies of a site in Chromium (Firefox: 12,288). The oldest
	// are dropped silently.
	MaxPartitionedBytes = 10240
)

// attributes holds the content of a Set-Cookie line, before any rule is
// applied.
type attributes struct {
	name, value string
	domain      string // without the leading dot, lower case; "" = host only
	path        string // "" = missing or invalid
	pathGiven   bool
	maxAge      *time.Duration
	expires     time.Time
	secure      bool
	httpOnly    bool
	partitioned bool
	sameSite    http.SameSite // 0 = missing
}

// parseSetCookie parses a line as in rfc6265bis section 5.6. It returns false
// for a line that browsers ignore entirely: one with control characters, an
// empty one, or one with a name and value of more than MaxCookieBytes.
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

// set applies one attribute. The last one of a kind wins.
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

// end returns when the cookie expires: Max-Age wins over Expires, and the
// result is at most MaxAge from now. Zero means the end of the browser
// session.
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

// allowed applies the rules of the name prefixes, in any case. "__Host-Http-"
// also begins with "__Host-", so both rules apply to it.
func (a *attributes) allowed() bool {
	// A nameless cookie is sent as its value alone, so the value could imitate
	// a prefixed name.
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

// parseMaxAge accepts digits with or without a minus sign. A value too large
// for a duration becomes MaxAge.
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

// parseDate accepts the formats that servers use. Browsers accept more.
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

// defaultPath implements rfc6265bis section 5.1.4: the directory of the page.
func defaultPath(u *url.URL) string {
	p := u.Path
	if i := strings.LastIndexByte(p, '/'); strings.HasPrefix(p, "/") && i > 0 {
		return p[:i]
	}
	return "/"
}

// trim removes the whitespace of rfc6265bis: space and tab.
func trim(s string) string { return strings.Trim(s, " \t") }

func isControl(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }
