package oidcsession

import (
	"errors"
	"html/template"
	"net/http"

	"github.com/carryon-go/carryon/middleware"
)

var pages = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<h1>{{.Title}}</h1>
{{with .Text}}<p>{{.}}</p>{{end}}
{{if .Logout}}<form method="post"><button>Sign out</button></form>{{else}}<p><a href="login">Sign in</a></p>{{end}}
`))

type page struct {
	Title, Text string
	Logout      bool
}

func (p page) write(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = pages.Execute(w, p)
}

// logoutPage shows a button, because a link must not end a session: browsers and mail
// programs fetch links on their own.
func logoutPage(w http.ResponseWriter) { page{Title: "Sign out", Logout: true}.write(w, http.StatusOK) }

// fail reports and answers a sign-in that has failed.
func (a *Auth[C]) fail(w http.ResponseWriter, r *http.Request, err error) {
	a.config.Observer(r.Context(), Event{Kind: EventSignInFailed, Err: err})
	a.config.ErrorHandler(w, r, err)
}

// errorPage is the default ErrorHandler.
func errorPage(w http.ResponseWriter, _ *http.Request, err error) {
	status, text := http.StatusBadRequest, "The sign-in did not succeed. Please try again."
	var failed *SignInError
	if errors.As(err, &failed) {
		switch failed.Code {
		case "access_denied":
			status, text = http.StatusForbidden, "The sign-in was refused or canceled."
		case "flow_lost":
			text = "Your browser has not sent the cookie of this sign-in. Allow cookies for this site and try again."
		case "session_too_large":
			status, text = http.StatusInternalServerError, "The account has more data than this site can keep in cookies. Please tell the operator."
		case "session":
			status, text = middleware.StatusOf(failed.err), "The session could not be saved. Please try again."
		case "unreachable", "temporarily_unavailable", "server_error":
			status, text = http.StatusServiceUnavailable, "The sign-in service does not answer. Please try again in a moment."
		}
	}
	page{Title: "Sign-in failed", Text: text}.write(w, status)
}
