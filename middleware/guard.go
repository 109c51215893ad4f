package middleware

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// NextParameter is the query parameter in which a [Guard] hands the page that a
// visitor wanted to the login.
const NextParameter = "next"

// Guard says what visitors get who are not logged in.
type Guard struct {
	// Login is the path of the login page, such as "/login". Pages are redirected
	// there with 303, and with the page that was wanted in the query parameter "next"
	// (see [Next]). "" means that all get 401.
	Login string

	// API tells requests of programs, which get 401 and JSON, from those of people
	// who look at pages. Nil takes one for a page where its Accept header names
	// text/html, as every browser's does that follows a link.
	API func(r *http.Request) bool
}

// Require lets only those through whose session has a value under key: the login
// guard. It goes inside of [Sessions.Handler]:
//
//	mux.Handle("/account/", middleware.Require(user, middleware.Guard{Login: "/login"})(account))
//
// A session that could not be loaded is not taken for one without a login: the
// request is answered by Config.ErrorHandler. Neither answer is kept in a cache.
//
// It says who, not from where: forms and scripts of other sites are refused by
// http.CrossOriginProtection, around everything, before a session is looked at. That the cookie is
// SameSite=Lax keeps it from their forms, too, but not from those of the
// site's other subdomains.
//
//	http.ListenAndServe(addr, http.NewCrossOriginProtection().Handler(sessions.Handler(mux)))
func Require[T any](key session.Key[T], g Guard) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			if s.Load(r.Context()) != nil {
				return // the commit at the handler's end answers
			}
			if _, ok := key.Get(s); !ok {
				g.refuse(w, r, s)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (g Guard) refuse(w http.ResponseWriter, r *http.Request, s *session.Session) {
	w.Header().Set("Cache-Control", "private, no-store")
	if g.Login != "" && !g.isAPI(r) {
		http.Redirect(w, r, g.loginURL(r), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Session realm="`+realm(r)+`"`) // RFC 9110 section 15.5.2 asks for one
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(refusalJSON{"login required", told(s.Reason()), g.Login})
}

// told is what a client is told of a reason: what a person may want to read. That
// something did not open is as good as that it is not there, whatever failed.
func told(why reason.Reason) reason.Reason {
	switch why {
	case reason.Expired, reason.ExpiredIdle, reason.LoggedOut:
		return why
	}
	return reason.Absent
}

// refusalJSON is what programs get.
type refusalJSON struct {
	Error  string        `json:"error"`
	Reason reason.Reason `json:"reason,omitempty"`
	Login  string        `json:"login,omitempty"`
}

// realm is the host, as far as it is one.
func realm(r *http.Request) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, r.Host)
}

func (g Guard) isAPI(r *http.Request) bool {
	if g.API != nil {
		return g.API(r)
	}
	return !strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "text/html")
}

// loginURL is the login page, with the way back where that can be asked for again.
func (g Guard) loginURL(r *http.Request) string {
	wanted := ""
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		wanted = local(r.URL.RequestURI())
	}
	if wanted == "" {
		return g.Login
	}
	separator := "?"
	if strings.Contains(g.Login, "?") {
		separator = "&"
	}
	return g.Login + separator + NextParameter + "=" + url.QueryEscape(wanted)
}

// Next is the page that a visitor wanted before a [Guard] sent them to the login:
// a path of this very host with its query, or otherwise if there is none, or where
// the parameter names anything else. So a link to the login cannot lead visitors
// to another site (CWE-601).
//
//	http.Redirect(w, r, middleware.Next(r, "/"), http.StatusSeeOther)
func Next(r *http.Request, otherwise string) string {
	if wanted := local(r.FormValue(NextParameter)); wanted != "" {
		return wanted
	}
	return otherwise
}

// local is target if no browser takes it for anything but a path of this host.
// Browsers read a backslash as a slash, and leave out tabs and line ends.
func local(target string) string {
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

// hasDots tells whether a path has segments that a browser resolves: "/..//host" is
// this host's "//host", which whoever redirects next may take for another host.
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
