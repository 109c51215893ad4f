// Command with is the hello server of "without", with sessions.
package main

import (
	"io"
	"net/http"
	"os"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const name session.Key[string] = "name"

func main() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visitor, _ := name.Get(session.From(r.Context()))
		_, _ = io.WriteString(w, "hello "+visitor)
	})
	if len(os.Args) == 1 { // for cmd/start, which measures only the start
		return
	}
	sessions, err := middleware.New(middleware.Config{Keys: keyring.Ephemeral()})
	if err != nil {
		panic(err)
	}
	panic(http.ListenAndServe(os.Args[1], sessions.Handler(hello)))
}
