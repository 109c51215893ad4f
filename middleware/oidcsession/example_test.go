package oidcsession_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
)

// Claims are what the program needs of the ID token.
type Claims struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
}

// A program whose pages are for members.
func Example() {
	ctx := context.Background()
	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.APIGateway})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := oidcsession.New[Claims](ctx, oidcsession.Config{
		Issuer:       "https://accounts.example",
		ClientID:     "my-client",
		ClientSecret: "from a secret manager",
		RedirectURL:  "https://app.example/auth/callback",
		Scopes:       []string{"profile", "email", "offline_access"},
		Sessions:     sessions,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", auth)
	mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := auth.User(r.Context())
		fmt.Fprintf(w, "Hello %s\n", user.Name)
	})))
	log.Fatal(http.ListenAndServe(":8080", sessions.Handler(mux)))
}

// auth stands for the result of New.
var auth *oidcsession.Auth[Claims]

// Client calls a service with the visitor's access token, which is refreshed before it
// expires.
func ExampleAuth_Client() {
	http.HandleFunc("/orders", func(w http.ResponseWriter, r *http.Request) {
		response, err := auth.Client(r.Context()).Get("https://api.example/orders")
		if err != nil {
			http.Error(w, "The orders are not available.", oidcsession.StatusOf(err))
			return
		}
		defer response.Body.Close()
	})
}

// A refresh that fails is not always the end of the sign-in.
func ExampleRefreshError() {
	http.HandleFunc("/report", func(w http.ResponseWriter, r *http.Request) {
		_, err := auth.Token(r.Context())
		var failed *oidcsession.RefreshError
		switch {
		case errors.As(err, &failed) && failed.Kind == oidcsession.Permanent:
			http.Redirect(w, r, "/auth/login?next=/report", http.StatusSeeOther)
		case err != nil:
			http.Error(w, "Please try again in a moment.", oidcsession.StatusOf(err))
		}
	})
}

// A page that differs for visitors who are signed in.
func ExampleAuth_User() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if user, ok := auth.User(r.Context()); ok {
			fmt.Fprintf(w, "Hello %s\n", user.Name)
			return
		}
		fmt.Fprintln(w, `<a href="/auth/login">Sign in</a>`)
	})
}

// "Sign out everywhere" ends all sessions of the user at this site. It needs a store.
func ExampleAuth_RevokeUser() {
	http.HandleFunc("POST /everywhere", func(w http.ResponseWriter, r *http.Request) {
		if err := auth.RevokeUser(r.Context(), auth.Subject(r.Context())); err != nil {
			http.Error(w, "The sessions could not be ended.", middleware.StatusOf(err))
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
}

// A provider that sends visitors back by a form of its own site.
func ExampleConfig_formPost() {
	config := oidcsession.Config{Parameters: url.Values{"response_mode": {"form_post"}}}

	protection := http.NewCrossOriginProtection()
	protection.AddInsecureBypassPattern("POST /auth/callback") // accepts only a sign-in that the same browser has begun
	_ = config
}
