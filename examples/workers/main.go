//go:build js && wasm

// Command workers is a Cloudflare Worker. Build and deploy it as described at
// github.com/syumai/workers, whose template has the two JavaScript files:
//
//	carryon keys init - | npx wrangler secret put CARRYON_KEYS
//	GOOS=js GOARCH=wasm go build -o build/app.wasm .
//	npx wrangler deploy
//
// The compressed program has 2.4 MB of the 3 MB that the free plan allows, and
// starts again for each request. For more than a few visitors, use a
// Cloudflare Container; examples/cloudrun runs in one.
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/syumai/workers"
	"github.com/syumai/workers/cloudflare"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

func main() {
	keys, err := keyring.Open(context.Background(), keyring.Func(secret))
	if err != nil {
		panic(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.Cloudflare})
	if err != nil {
		panic(err)
	}
	workers.Serve(sessions.Handler(http.HandlerFunc(count)))
}

// secret returns the Worker's secret, because a Worker has no process
// environment.
func secret(context.Context) ([]byte, error) { return []byte(cloudflare.Getenv("CARRYON_KEYS")), nil }

func count(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	visits.Update(s, func(n int) int { return n + 1 })
	n, _ := visits.Get(s)
	fmt.Fprintf(w, "visit %d\n", n)
}
