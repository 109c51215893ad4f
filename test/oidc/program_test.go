package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/session"
)

// claims are what the program needs of an ID token.
type claims struct {
	Name string `json:"name"`
}

// newProgram returns the program under test.
func newProgram(ctx context.Context, sessions middleware.Config, config oidcsession.Config) (http.Handler, error) {
	s, err := middleware.New(sessions)
	if err != nil {
		return nil, err
	}
	config.Sessions = s
	auth, err := oidcsession.New[claims](ctx, config)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", auth)
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { serveToken(w, r, auth) })
	mux.HandleFunc("/public", func(w http.ResponseWriter, r *http.Request) {
		user, ok := auth.User(r.Context())
		fmt.Fprintf(w, "%s %v %v %v", user.Name, ok, session.From(r.Context()).Names(), auth.Sizes(r.Context()))
	})
	mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := auth.User(r.Context())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><p id=who>%s at %s</p>", user.Name, r.URL.Path)
	})))
	return s.Handler(mux), nil
}

// serveToken writes the visitor's access token, or why there is none.
func serveToken(w http.ResponseWriter, r *http.Request, auth *oidcsession.Auth[claims]) {
	token, err := auth.Token(r.Context())
	var failed *oidcsession.RefreshError
	switch {
	case errors.As(err, &failed):
		http.Error(w, string(failed.Kind)+" "+failed.Code, oidcsession.StatusOf(err))
	case err != nil:
		http.Error(w, err.Error(), oidcsession.StatusOf(err))
	default:
		fmt.Fprint(w, token.AccessToken)
	}
}
