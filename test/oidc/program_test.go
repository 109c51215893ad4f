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

// A program is the program under test, without routes.
type program struct {
	sessions *middleware.Sessions
	auth     *oidcsession.Auth[claims]
}

func newParts(ctx context.Context, sessions middleware.Config, config oidcsession.Config) (p program, err error) {
	if p.sessions, err = middleware.New(sessions); err != nil {
		return p, err
	}
	config.Sessions = p.sessions
	p.auth, err = oidcsession.New[claims](ctx, config)
	return p, err
}

// newProgram returns the program under test, with net/http.
func newProgram(ctx context.Context, sessions middleware.Config, config oidcsession.Config) (http.Handler, error) {
	p, err := newParts(ctx, sessions, config)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", p.auth)
	mux.HandleFunc("/token", p.serveToken)
	mux.HandleFunc("/public", p.servePublic)
	mux.Handle("/", p.auth.Require(http.HandlerFunc(p.servePage)))
	return p.sessions.Handler(mux), nil
}

// servePage greets a visitor who is signed in.
func (p program) servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, p.greet(r.Context(), r.URL.Path))
}

func (p program) greet(ctx context.Context, path string) string {
	user, _ := p.auth.User(ctx)
	return fmt.Sprintf("<!doctype html><p id=who>%s at %s</p>", user.Name, path)
}

// servePublic says whether the visitor is signed in, and what the session holds.
func (p program) servePublic(w http.ResponseWriter, r *http.Request) {
	user, ok := p.auth.User(r.Context())
	fmt.Fprintf(w, "%s %v %v %v", user.Name, ok, session.From(r.Context()).Names(), p.auth.Sizes(r.Context()))
}

// serveToken writes the visitor's access token, or why there is none.
func (p program) serveToken(w http.ResponseWriter, r *http.Request) {
	text, status := p.token(r.Context())
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

func (p program) token(ctx context.Context) (text string, status int) {
	token, err := p.auth.Token(ctx)
	var failed *oidcsession.RefreshError
	switch {
	case errors.As(err, &failed):
		return string(failed.Kind) + " " + failed.Code + "\n", oidcsession.StatusOf(err)
	case err != nil:
		return err.Error() + "\n", oidcsession.StatusOf(err)
	}
	return token.AccessToken, http.StatusOK
}
