package middleware

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// NextParameter is the query parameter in which a [Guard] passes the address of the
// requested page to the login page.
const NextParameter = "next"

// Guard configures how [Require] answers visitors who are not logged in.
type Guard struct {
	// Login is the path of the login page, such as "/login". Requests for pages are
	// redirected there with 303; the query parameter "next" is the address of the
	// requested page (see [Next]). "" means that all requests get 401.
	Login string

	// API reports whether a program sent the request. Such requests get 401 and
	// JSON. Nil means that a request is for a page if its Accept header contains
	// text/html, which browsers send when they follow a link.
	API func(r *http.Request) bool
}

// Require returns middleware that passes on only requests whose session has a value
// under key. Use it to require a login, inside of [Sessions.Handler]:
//
//	mux.Handle("/account/", middleware.Require(user, middleware.Guard{Login: "/login"})(account))
//
// If the session cannot be loaded, Config.ErrorHandler answers, because the visitor
// may be logged in. Caches store neither this answer nor a refusal.
//
// Require does not protect against cross-site request forgery. Put
// http.CrossOriginProtection around all handlers, so that it refuses requests of
// other sites before the session is loaded. The cookie's SameSite=Lax protects
// against forms of other sites, but not against those of the site's subdomains.
//
//	http.ListenAndServe(addr, http.NewCrossOriginProtection().Handler(sessions.Handler(mux)))
func Require[T any](key session.Key[T], g Guard) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			if s.Load(r.Context()) != nil {
				return // the commit fails too, and ErrorHandler answers
			}
			if _, ok := key.Get(s); !ok {
				g.Refuse(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Refuse answers a request whose visitor is not logged in: it redirects to the login
// page or answers 401. [Require] calls it.
func (g Guard) Refuse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, no-store")
	if g.Login != "" && !g.isAPI(r) {
		http.Redirect(w, r, g.loginURL(r), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Session realm="`+realm(r)+`"`) // RFC 9110 section 15.5.2 asks for one
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(refusalJSON{"login required", publicReason(session.From(r.Context()).Reason()), g.Login})
}

// publicReason returns the reason that the response may state: why a session has
// ended. For cookies that did not open the answer is the same as for no cookies.
func publicReason(why reason.Reason) reason.Reason {
	switch why {
	case reason.Expired, reason.ExpiredIdle, reason.LoggedOut:
		return why
	}
	return reason.Absent
}

// refusalJSON is the body of a 401.
type refusalJSON struct {
	Error  string        `json:"error"`
	Reason reason.Reason `json:"reason,omitempty"`
	Login  string        `json:"login,omitempty"`
}

// realm returns the request's host without the characters that a quoted string
// must not contain.
func realm(r *http.Request) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, r.Host)
}

// isAPI reports whether a program sent the request; see Guard.API.
func (g Guard) isAPI(r *http.Request) bool {
	if g.API != nil {
		return g.API(r)
	}
	return !strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "text/html")
}

// loginURL returns the address of the login page. If the request can be repeated
// after the login, the requested page is in its query.
func (g Guard) loginURL(r *http.Request) string {
	requested := ""
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		requested = localPath(r.URL.RequestURI())
	}
	if requested == "" {
		return g.Login
	}
	separator := "?"
	if strings.Contains(g.Login, "?") {
		separator = "&"
	}
	return g.Login + separator + NextParameter + "=" + url.QueryEscape(requested)
}

// Next returns the page that the visitor requested before a [Guard] redirected them
// to the login page. The result is a path of this host, with its query. If the
// parameter is missing or names anything else, Next returns otherwise, so that a
// link to the login page cannot redirect visitors to another site (CWE-601).
//
//	http.Redirect(w, r, middleware.Next(r, "/"), http.StatusSeeOther)
func Next(r *http.Request, otherwise string) string {
	if requested := localPath(r.FormValue(NextParameter)); requested != "" {
		return requested
	}
	return otherwise
}

// localPath returns target if every browser reads it as a path of this host, or
// else "". Browsers read a backslash as a slash, and ignore tabs and line ends.
func localPath(target string) string {
	if len(target) > 2048 || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") ||
		strings.ContainsFunc(target, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
		return ""
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		hasDots(u.Path) {
		return ""
	}
	return target
}

// hasDots reports whether a path has "." or ".." segments, which browsers resolve.
// "/..//host" resolves to "//host", and a later redirect may send the visitor to
// that host.
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
