// Package handler is a Vercel function: Vercel calls Handler for requests to
// /api. Set CARRYON_KEYS, a "sensitive" variable of the project, to the output
// of "carryon keys init -".
package handler

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

// withSessions is initialised by the first request of an instance.
var withSessions = sync.OnceValues(func() (http.Handler, error) {
	keys, err := keyring.Open(context.Background(), keyring.Env("CARRYON_KEYS"))
	if err != nil {
		return nil, err
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.Vercel})
	if err != nil {
		return nil, err
	}
	return sessions.Handler(http.HandlerFunc(count)), nil
})

// Handler handles every request.
func Handler(w http.ResponseWriter, r *http.Request) {
	h, err := withSessions()
	if err != nil {
		fmt.Println(err) // goes to the function's log
		http.Error(w, "this program is not configured", http.StatusInternalServerError)
		return
	}
	h.ServeHTTP(w, r)
}

func count(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	visits.Update(s, func(n int) int { return n + 1 })
	n, _ := visits.Get(s)
	fmt.Fprintf(w, "visit %d\n", n)
}
