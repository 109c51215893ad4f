package main

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/carryon-go/carryon/middleware"
)

// assets are the page, its style and its script.
//
//go:embed page.html style.css playground.js
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "page.html"))

// app is what the handlers share.
type app struct {
	name     string // base name of the session cookies
	platform string // whose limits hold, "" for the default's
	sessions *middleware.Sessions
	traffic  traffic
	page     []byte
	sleep    func(r *http.Request, d time.Duration) bool
}

// newApp is the whole program as one handler.
func newApp(sessions *middleware.Sessions, o options) http.Handler {
	a := &app{name: o.name, platform: o.limits, sessions: sessions, page: renderPage(o), sleep: sleep}
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

// getPage does not touch the session: the page fetches what it shows.
func (a *app) getPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(a.page)
}

// renderPage fills in what the page says of the program; it is the same for
// every visitor.
func renderPage(o options) []byte {
	var page bytes.Buffer
	err := pageTemplate.Execute(&page, map[string]any{
		"Name": o.name, "Lifetime": o.lifetime.String(), "Idle": idleText(o.idle),
		"Limits": cmp.Or(o.limits, "默认"), "FixedName": o.fixedName, "MaxDelay": maxDelay.String(),
		"Store": storeName(o.store),
	})
	if err != nil {
		panic(err) // the template is ours
	}
	return page.Bytes()
}

func idleText(d time.Duration) string {
	if d < 0 {
		return "不限"
	}
	return d.String()
}

// sameOriginOnly refuses what a page of another site sends. Programs that are
// no browsers pass.
func sameOriginOnly(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusForbidden, "the request comes from a page of another site", "cross-origin")
	}))
	return protection.Handler(next)
}

// headers are sent with everything: the page loads nothing from elsewhere, is
// shown in no frame, and no value is ever taken for a page.
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
