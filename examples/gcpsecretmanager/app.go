package main

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// user is the name of who is logged in.
const user session.Key[string] = "user"

// newApp is a home page, a login and a logout. Whether the name is really the
// visitor's is not its matter here: see examples/login for the rest of a login.
func newApp(sessions *middleware.Sessions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.HandleFunc("POST /login", login)
	mux.HandleFunc("POST /logout", logout)
	// Other sites' forms can log nobody in or out.
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
	s.Renew() // a new id: whoever planted the old session is left with nothing
	user.Set(s, name)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func logout(w http.ResponseWriter, r *http.Request) {
	session.From(r.Context()).Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
