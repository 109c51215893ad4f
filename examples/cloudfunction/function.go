// Package cloudfunction is a Google Cloud Function with sessions. Store the
// key ring in a secret and deploy the function:
//
//	carryon keys init - | gcloud secrets create session-keys --data-file=-
//	gcloud functions deploy visits --runtime=go126 --entry-point=Visits --trigger-http \
//	    --set-secrets=CARRYON_KEYS=session-keys:latest
//
// An instance reads a secret in a variable when it starts. So a rotated ring
// takes effect when the instances have been replaced. docs/secrets.md shows
// programs that follow a secret live.
package cloudfunction

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

func init() {
	keys, err := keyring.Open(context.Background(), keyring.Env("CARRYON_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.CloudRun})
	if err != nil {
		log.Fatal(err)
	}
	functions.HTTP("Visits", sessions.Handler(http.HandlerFunc(count)).ServeHTTP)
}

func count(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	visits.Update(s, func(n int) int { return n + 1 })
	n, _ := visits.Get(s)
	fmt.Fprintf(w, "visit %d\n", n)
}
