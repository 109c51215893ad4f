package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
)

// public reports whether shared caches may keep a response with this
// Cache-Control (RFC 9111 section 3): Set-Cookie alone does not stop them.
func public(cacheControl string) bool {
	shared := false
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(cookiejar.Trim(directive), "=")
		switch strings.ToLower(name) {
		case "private", "no-store":
			return false
		case "public", "s-maxage", "immutable":
			shared = true
		case "max-age":
			shared = shared || value != "0"
		}
	}
	return shared
}

// mayTouch reports whether a response may renew the last-seen time. Set-Cookie is
// kept off responses that caches share or revalidate, and off those that may
// never be seen.
func mayTouch(quiet bool, w Response) bool {
	return !quiet && !w.prefetch && w.Status != http.StatusNotModified && !public(w.CacheControl)
}

// cacheControl keeps personal responses out of shared caches: one that sets a
// cookie is not stored at all, one that read a session is private.
func (x *requestState) cacheControl(ctx context.Context, out *Fields, o core.Outcome, r Response, changes bool) {
	switch {
	case changes:
		out.CacheControl = "private, no-store"
		if public(r.CacheControl) {
			x.observe(ctx, Event{Kind: EventUncached})
		}
	case r.CacheControl == "" && o.View != nil && o.View.Head != nil:
		out.CacheControl = "private"
	}
}

// vary adds Cookie to Vary; the value of a header that has none lives in room.
func vary(h http.Header, room *[1]string) {
	switch have := h["Vary"]; {
	case have == nil:
		room[0] = "Cookie"
		h["Vary"] = room[:]
	default:
		h["Vary"] = AddVary(have)
	}
}

// AddVary returns the lines of a response's Vary field with Cookie among them. An
// adapter calls it where [Fields] has Vary, and for its own error pages:
//
//	h["Vary"] = middleware.AddVary(h["Vary"])
//
// It returns lines itself if they have Cookie or "*" already.
func AddVary(lines []string) []string {
	if varies(lines) {
		return lines
	}
	return append(lines, "Cookie")
}

func varies(lines []string) bool {
	for _, line := range lines {
		for field := range strings.SplitSeq(line, ",") {
			if f := cookiejar.Trim(field); f == "*" || strings.EqualFold(f, "Cookie") {
				return true
			}
		}
	}
	return false
}
