package main

import (
	"embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// User is the logged-in user. Values that must be consistent belong under one
// key, so a role would be a field of User.
type User struct {
	Name  string
	Since time.Time
}

// user is the only value that this program stores in sessions.
const user session.Key[User] = "user"

// maxName is the maximum length of a name in characters.
const maxName = 40

var (
	//go:embed pages/*.html
	pageFiles embed.FS
	//go:embed style.css
	styleFile []byte

	pages = parsePages("home", "login", "news", "error")
)

// page is the data of the templates.
type page struct {
	Title   string
	User    *User // nil: not logged in
	Expires time.Time
	News    []article

	Next, Name, Problem string // for the login form
}

// newApp returns the whole program as one handler.
func newApp(sessions *middleware.Sessions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.HandleFunc("GET /login", loginForm)
	mux.HandleFunc("POST /login", login)
	mux.HandleFunc("POST /logout", logout)
	mux.Handle("GET /news", membersOnly(http.HandlerFunc(news)))
	mux.HandleFunc("GET /style.css", style)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })

	// SameSite=Lax keeps the cookie out of other sites' form submissions.
	// Cross-origin protection also prevents those forms from logging a visitor
	// in, which requires no cookie.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return headers(sessions.Handler(guarded))
}

func home(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	render(w, r, http.StatusOK, "home", page{Title: "首页", Expires: s.Expires()})
}

func loginForm(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "登录", Next: localPath(r.FormValue("next"))}
	switch session.From(r.Context()).Reason() {
	case reason.Expired, reason.ExpiredIdle:
		p.Problem = "登录已过期,请重新登录。"
	}
	render(w, r, http.StatusOK, "login", p)
}

func login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	name, next := strings.TrimSpace(r.FormValue("name")), localPath(r.FormValue("next"))
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName || !utf8.ValidString(name) {
		render(w, r, http.StatusUnprocessableEntity, "login",
			page{Title: "登录", Next: next, Problem: "请输入姓名,最多 40 个字。"})
		return
	}
	s := session.From(r.Context())
	s.Login(name) // a new id: a session that an attacker planted becomes useless
	user.Set(s, User{Name: name, Since: time.Now()})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func logout(w http.ResponseWriter, r *http.Request) {
	session.From(r.Context()).Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func news(w http.ResponseWriter, r *http.Request) {
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, map[string]any{"news": articles})
		return
	}
	render(w, r, http.StatusOK, "news", page{Title: "新闻", News: articles})
}

// membersOnly admits only logged-in visitors. It redirects others to the login
// form, which redirects back after the login. A program that requests JSON
// gets a 401.
func membersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		s := session.From(r.Context())
		if s.Load(r.Context()) != nil {
			return // the session could not be read: answerError responds
		}
		if _, ok := user.Get(s); ok {
			next.ServeHTTP(w, r)
			return
		}
		if wantsJSON(r) {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "请先登录", "reason": s.Reason().String()})
			return
		}
		// A slash needs no escaping in a query and is easier to read.
		next := strings.ReplaceAll(url.QueryEscape(r.URL.RequestURI()), "%2F", "/")
		http.Redirect(w, r, "/login?next="+next, http.StatusSeeOther)
	})
}

// localPath returns next if it is a path of this site, and "/" otherwise. So
// the login cannot be used to redirect visitors to other sites
// ("//evil.example", "/\evil").
func localPath(next string) string {
	u, err := url.Parse(next)
	bad := func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, bad) {
		return "/"
	}
	return next
}

// wantsJSON reports whether a request asks for JSON and not for a page.
func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

func render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	if u, ok := user.Get(session.From(r.Context())); ok {
		p.User = &u
	}
	write(w, status, name, p)
}

func write(w http.ResponseWriter, status int, name string, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages[name].ExecuteTemplate(w, "layout.html", p); err != nil {
		slog.Error("login: the page could not be written", "page", name, "error", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// answerError is the response if the session could not be read or saved;
// nothing of the page has been sent. Errors contain no secrets.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	slog.Error("login: the session could not be read or saved", "path", r.URL.Path, "error", err)
	write(w, middleware.StatusOf(err), "error", page{Title: "出错了"})
}

func style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Write(styleFile)
}

func parsePages(names ...string) map[string]*template.Template {
	parsed := map[string]*template.Template{}
	for _, name := range names {
		parsed[name] = template.Must(template.ParseFS(pageFiles, "pages/layout.html", "pages/"+name+".html"))
	}
	return parsed
}

// headers adds headers to every page: the page loads nothing from other sites
// and cannot be framed.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
