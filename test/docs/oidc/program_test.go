package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
)

// Claims are what the program needs of the ID token.
type Claims struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

func main() {
	ctx := context.Background()
	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := oidcsession.New[Claims](ctx, oidcsession.Config{
		Issuer:       os.Getenv("OIDC_ISSUER"),
		ClientID:     os.Getenv("OIDC_CLIENT_ID"),
		ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
		RedirectURL:  "http://localhost:8080/auth/callback",
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
	log.Fatal(http.ListenAndServe("localhost:8080", sessions.Handler(mux)))
}
