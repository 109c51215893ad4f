package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
)

// public reports whether shared caches may store a response with this
// Cache-Control (RFC 9111 section 3). Set-Cookie alone does not prevent that.
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

// mayTouch reports whether a response may renew the last-seen time. It may not if
// caches share or revalidate the response, or if the visitor may never see it.
func mayTouch(quiet bool, w Response) bool {
	return !quiet && !w.prefetch && w.Status != http.StatusNotModified && !public(w.CacheControl)
}

// cacheControl keeps personal responses out of shared caches. A response that
// changes the session gets "private, no-store". A response that read a session gets
// "private", unless the program has set Cache-Control.
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

// vary adds Cookie to Vary. If h has no Vary, buffer holds the new value, which
// saves an allocation.
func vary(h http.Header, buffer *[1]string) {
	switch have := h["Vary"]; {
	case have == nil:
		buffer[0] = "Cookie"
		h["Vary"] = buffer[:]
	default:
		h["Vary"] = AddVary(have)
	}
}

// AddVary returns the lines of a response's Vary field with Cookie among them. It
// returns lines if they contain Cookie or "*". Adapters call it if [Fields.Vary] is
// set, and for error pages of their own:
//
//	h["Vary"] = middleware.AddVary(h["Vary"])
func AddVary(lines []string) []string {
	if varies(lines) {
		return lines
	}
	return append(lines, "Cookie")
}

// varies reports whether Vary lists Cookie or "*".
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
