// Command hello is the program in the README: it counts a visitor's visits.
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

func main() {
	sessions, err := middleware.New(middleware.Config{Keys: keyring.Ephemeral()})
	if err != nil {
		log.Fatal(err)
	}
	count := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		visits.Update(s, func(n int) int { return n + 1 })
		n, _ := visits.Get(s)
		fmt.Fprintf(w, "visit %d\n", n)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", sessions.Handler(http.HandlerFunc(count))))
}
