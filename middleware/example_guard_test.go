package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func ExampleRequire() {
	guard := middleware.Require(user, middleware.Guard{Login: "/login"})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		user.Set(session.From(r.Context()), "ada")
		http.Redirect(w, r, middleware.Next(r, "/"), http.StatusSeeOther)
	})
	mux.Handle("/account", guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "your account")
	})))
	site := exampleSessions().Handler(mux)

	r := httptest.NewRequest("GET", "/account?tab=keys", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	login := w.Header().Get("Location")
	fmt.Println(w.Code, login)

	w = httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest("POST", login, nil))
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output:
	// 303 /login?next=%2Faccount%3Ftab%3Dkeys
	// 303 /account?tab=keys
}

func ExampleSessions_StripCookies() {
	sessions := exampleSessions()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "theme=dark; __Host-session.k7m2qv5xyd=sealed; lang=zh")
	sessions.StripCookies(r) // before a proxy forwards the request
	fmt.Println(r.Header.Get("Cookie"))
	// Output: theme=dark; lang=zh
}
