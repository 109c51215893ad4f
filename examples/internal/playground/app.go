// Package playground serves a page and a JSON API to try out sessions. Several
// examples use it.
package playground

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// assets are the page, its style and its script.
//
//go:embed page.html style.css playground.js
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "page.html"))

// Options describe how the sessions are stored. The page shows them.
type Options struct {
	Name      string // base name of the session cookies
	Limits    string // platform of the limits, "" for the default
	Store     string // kind of store, "" for none
	FixedName bool

	Lifetime, Idle, Touch     time.Duration
	StoreTimeout, Revocations time.Duration
	Outage                    middleware.Outage
	Revocation                middleware.Revocation
}

// Config returns the configuration for these options.
func (o Options) Config(keys keyring.Provider) middleware.Config {
	return middleware.Config{
		Keys: keys, Cookie: middleware.Cookie{Name: o.Name, FixedName: o.FixedName}, Platform: middleware.Platform(o.Limits),
		Lifetimes: middleware.Lifetimes{Absolute: o.Lifetime, Idle: o.Idle, TouchAfter: o.Touch},
		Fallback: middleware.Fallback{
			Timeout: o.StoreTimeout, Outage: o.Outage,
			Revocation: o.Revocation, RevocationMaxAge: o.Revocations,
		},
		Observer:     middleware.Log(nil),
		ErrorHandler: answerError,
	}
}

// An app holds what the handlers share.
type app struct {
	name     string // base name of the session cookies
	platform string // platform of the limits, "" for the default
	sessions *middleware.Sessions
	traffic  traffic
	page     []byte
	sleep    func(r *http.Request, d time.Duration) bool
}

// New returns a handler for the page and the API.
func New(sessions *middleware.Sessions, o Options) http.Handler {
	a := &app{name: o.Name, platform: o.Limits, sessions: sessions, page: renderPage(o), sleep: sleep}
	api := http.NewServeMux()
	api.HandleFunc("GET /api/session", a.call(a.getSession))
	api.HandleFunc("PUT /api/values/{name}", a.call(putValue))
	api.HandleFunc("GET /api/values/{name}", a.call(getValue))
	api.HandleFunc("DELETE /api/values/{name}", a.call(deleteValue))
	api.HandleFunc("POST /api/renew", a.call(renew))
	api.HandleFunc("POST /api/destroy", a.call(destroy))
	api.HandleFunc("POST /api/bind", a.call(bind))
	api.HandleFunc("POST /api/revoke", a.revoke(sessions.Revoke))
	api.HandleFunc("POST /api/revoke-subject", a.revoke(sessions.RevokeSubject))
	api.HandleFunc("GET /api/explain", a.explain)
	api.HandleFunc("/api/session", wrongMethod("GET, HEAD"))
	api.HandleFunc("/api/values/{name}", wrongMethod("GET, HEAD, PUT, DELETE"))
	api.HandleFunc("/api/renew", wrongMethod("POST"))
	api.HandleFunc("/api/destroy", wrongMethod("POST"))
	api.HandleFunc("/api/bind", wrongMethod("POST"))
	api.HandleFunc("/api/revoke", wrongMethod("POST"))
	api.HandleFunc("/api/revoke-subject", wrongMethod("POST"))
	api.HandleFunc("/api/explain", wrongMethod("GET, HEAD"))
	api.HandleFunc("/api/", notFound)

	mux := http.NewServeMux()
	mux.Handle("/api/", sessions.Handler(sameOriginOnly(api)))
	mux.HandleFunc("GET /{$}", a.getPage)
	mux.Handle("GET /style.css", http.FileServerFS(assets))
	mux.Handle("GET /playground.js", http.FileServerFS(assets))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	return headers(mux)
}

// getPage does not use the session: the page fetches it through the API.
func (a *app) getPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(a.page)
}

// renderPage inserts the options into the page. The result is the same for
// every visitor.
func renderPage(o Options) []byte {
	var page bytes.Buffer
	err := pageTemplate.Execute(&page, map[string]any{
		"Name": o.Name, "Lifetime": o.Lifetime.String(), "Idle": idleText(o.Idle),
		"Limits": cmp.Or(o.Limits, "默认"), "FixedName": o.FixedName, "MaxDelay": maxDelay.String(),
		"Store": o.Store,
	})
	if err != nil {
		panic(err) // the template is part of this package
	}
	return page.Bytes()
}

func idleText(d time.Duration) string {
	if d < 0 {
		return "不限"
	}
	return d.String()
}

// sameOriginOnly refuses requests from pages of other sites. Clients that are
// not browsers pass.
func sameOriginOnly(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusForbidden, "requests from pages of other sites are refused", "cross-origin")
	}))
	return protection.Handler(next)
}

// headers adds security headers to every response: the page loads nothing from
// other sites and cannot be framed, and browsers never interpret a value as a
// page.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "+
			"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
