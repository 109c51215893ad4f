// Command azurefunctions is a custom handler for Azure Functions. The host
// starts it, passes a port in FUNCTIONS_CUSTOMHANDLER_PORT, and forwards
// requests unchanged (enableForwardingHttpRequest in host.json). Set the
// application setting CARRYON_KEYS to the output of "carryon keys init -", or
// to a Key Vault reference.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

func main() {
	keys, err := keyring.Open(context.Background(), keyring.Env("CARRYON_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.AzureAppService})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), "8080"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("/api/visits", sessions.Handler(http.HandlerFunc(count)))
	log.Fatal(http.Serve(listener, mux))
}

func count(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	visits.Update(s, func(n int) int { return n + 1 })
	n, _ := visits.Get(s)
	fmt.Fprintf(w, "visit %d\n", n)
}
