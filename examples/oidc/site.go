package main

import (
	"context"
	"embed"
	"html/template"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/session"
)

// claims are what the site needs of the ID token.
type claims struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// site is the program.
type site struct {
	config
	auth      *oidcsession.Auth[claims]
	refreshes atomic.Int64
}

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// handler returns all routes, with a session.
func (s *site) handler() http.Handler {
	members := http.NewServeMux()
	members.HandleFunc("GET /account", s.account)
	members.HandleFunc("GET /api", s.callAPI)
	members.HandleFunc("GET /burst", s.burst)
	members.HandleFunc("GET /tokens", s.tokens)
	members.HandleFunc("POST /devices/end", s.endDevice)
	members.HandleFunc("POST /everywhere", s.everywhere)

	mux := http.NewServeMux()
	mux.Handle("/auth/", s.auth)
	mux.Handle("/", s.auth.Require(members))
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /refreshes", func(w http.ResponseWriter, _ *http.Request) { writeNumber(w, s.refreshes.Load()) })
	mux.Handle("GET /pages/", http.FileServerFS(files))

	protection := http.NewCrossOriginProtection()
	protection.AddInsecureBypassPattern("POST /auth/callback") // response_mode=form_post
	return secured(protection.Handler(s.Sessions.Handler(mux)))
}

// secured adds the headers of all pages.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// observe counts refreshes and logs failures.
func (s *site) observe(_ context.Context, e oidcsession.Event) {
	if e.Kind == oidcsession.EventRefreshed {
		s.refreshes.Add(1)
	}
	if e.Err != nil {
		log.Printf("oidc: %s: %v", e.Kind, e.Err)
	}
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	user, ok := s.auth.User(r.Context())
	s.show(w, "home.html", map[string]any{"User": user, "SignedIn": ok, "Demo": s.demo != nil, "Issuer": s.Issuer})
}

// account shows who is signed in, and where else.
func (s *site) account(w http.ResponseWriter, r *http.Request) {
	label := browserOf(r.UserAgent())
	current := s.Sessions.From(r.Context())
	if session.Label.GetOr(current, "") != label {
		session.Label.Set(current, label)
	}
	devices, err := s.Sessions.List(r.Context(), s.subject(r))
	user, _ := s.auth.User(r.Context())
	s.show(w, "account.html", map[string]any{"User": user, "Devices": devices, "Failed": err != nil})
}

// subject returns the name of all sessions of the visitor.
func (s *site) subject(r *http.Request) string {
	return oidcsession.SubjectName(s.Issuer, s.auth.Subject(r.Context()))
}

// browserOf returns a short name for a browser.
func browserOf(agent string) string {
	for _, name := range []string{"Firefox", "Edg", "Chrome", "Safari", "curl"} {
		if strings.Contains(agent, name) {
			return name
		}
	}
	return "another browser"
}

// callAPI calls a service with the visitor's access token, which is fresh.
func (s *site) callAPI(w http.ResponseWriter, r *http.Request) {
	response, err := s.auth.Client(r.Context()).Get(s.api)
	if err != nil {
		http.Error(w, "The service could not be called. Please try again, or sign in again.", oidcsession.StatusOf(err))
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		http.Error(w, "The service has not answered.", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(body)
}

// burst shows a button that sends many requests at once.
func (s *site) burst(w http.ResponseWriter, r *http.Request) {
	s.show(w, "burst.html", map[string]any{"Demo": s.demo != nil})
}

// tokens shows how large the tokens are and where the session is.
func (s *site) tokens(w http.ResponseWriter, r *http.Request) {
	token, err := s.auth.Token(r.Context())
	if err != nil {
		http.Error(w, "The access token could not be refreshed.", oidcsession.StatusOf(err))
		return
	}
	sizes, where := s.auth.Sizes(r.Context()), s.Sessions.Explain(r)
	var left time.Duration
	if !token.Expiry.IsZero() {
		left = time.Until(token.Expiry).Round(time.Second)
	}
	s.show(w, "tokens.html", map[string]any{"Sizes": sizes, "All": sizes.Access + sizes.Refresh + sizes.ID, "Where": where,
		"Left": left, "Refreshes": s.refreshes.Load()})
}

// endDevice ends one of the visitor's sessions.
func (s *site) endDevice(w http.ResponseWriter, r *http.Request) {
	id := r.PostFormValue("id")
	devices, err := s.Sessions.List(r.Context(), s.subject(r))
	isOwn := func(d middleware.Listed) bool { return d.ID == id }
	if err != nil || !slices.ContainsFunc(devices, isOwn) { // the id comes from the visitor
		http.Error(w, "There is no such session.", http.StatusNotFound)
		return
	}
	if err := s.Sessions.Revoke(r.Context(), id); err != nil {
		http.Error(w, "The session could not be ended. Please try again.", middleware.StatusOf(err))
		return
	}
	http.Redirect(w, r, "/account", http.StatusSeeOther)
}

// everywhere ends all sessions of the visitor at this site.
func (s *site) everywhere(w http.ResponseWriter, r *http.Request) {
	if err := s.auth.RevokeUser(r.Context(), s.auth.Subject(r.Context())); err != nil {
		http.Error(w, "The sessions could not be ended. Please try again.", middleware.StatusOf(err))
		return
	}
	s.Sessions.From(r.Context()).Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
