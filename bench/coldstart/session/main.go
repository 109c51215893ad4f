// Command session is the handler of ../plain with a session that it writes, for
// cmd/coldstart. With COLDSTART_STATS=1 it prints its allocations up to the
// first event.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

func main() {
	var before runtime.MemStats
	if os.Getenv("COLDSTART_STATS") == "1" {
		runtime.ReadMemStats(&before)
	}
	keys, err := keyring.Open(context.Background(), keyring.Env("CARRYON_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.APIGateway})
	if err != nil {
		log.Fatal(err)
	}
	h := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Update(session.From(r.Context()), func(n int) int { return n + 1 })
		_, _ = io.WriteString(w, "hello\n")
	}))
	if before.Mallocs > 0 {
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		fmt.Fprintf(os.Stderr, "ready: %d allocations, %d bytes\n", after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc)
	}
	lambdasession.Start(h)
}
