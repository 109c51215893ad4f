package middleware

import (
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/internal/cookiejar"
)

// StripCookies removes the session's cookies from a request's Cookie header and
// leaves all others. A reverse proxy calls it before it passes the request on to
// a server that must not get the session:
//
//	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
//		r.SetURL(upstream)
//		sessions.StripCookies(r.Out)
//	}}
//
// It changes r.Header, which must not be shared with another request.
func (m *Sessions) StripCookies(r *http.Request) {
	lines := r.Header["Cookie"]
	var left []string
	for _, line := range lines {
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = cookiejar.Trim(pair)
			if _, ours := cookiejar.ParsePair(pair, m.config.Cookie.Name, m.config.Cookie.FixedName); pair != "" && !ours {
				kept = append(kept, pair)
			}
		}
		if len(kept) > 0 {
			left = append(left, strings.Join(kept, "; "))
		}
	}
	if len(left) == 0 {
		delete(r.Header, "Cookie")
		return
	}
	r.Header["Cookie"] = left
}
