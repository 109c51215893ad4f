package main

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// user is the name of the logged-in user.
const user session.Key[string] = "user"

// newApp returns a home page, a login and a logout. It does not check the
// visitor's identity: see examples/login for a complete login.
func newApp(sessions *middleware.Sessions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.HandleFunc("POST /login", login)
	mux.HandleFunc("POST /logout", logout)
	// Forms of other sites can neither log a visitor in nor out.
	return sessions.Handler(http.NewCrossOriginProtection().Handler(mux))
}

func home(w http.ResponseWriter, r *http.Request) {
	name, ok := user.Get(session.From(r.Context()))
	if !ok {
		name = "stranger"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "hello %s\n", name)
}

func login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	name := strings.TrimSpace(r.FormValue("name"))
	if name == "" || len(name) > 100 || !utf8.ValidString(name) {
		http.Error(w, "send a name of at most 100 bytes, for example: curl -d name=Ada", http.StatusUnprocessableEntity)
		return
	}
	s := session.From(r.Context())
	s.Renew() // a new id: a session that an attacker planted becomes useless
	user.Set(s, name)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func logout(w http.ResponseWriter, r *http.Request) {
	session.From(r.Context()).Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
