// Command cloudrun is a service for Google Cloud Run. It listens on PORT. At
// SIGTERM it finishes the running requests, so that none loses its session.
// Store the key ring in a secret and deploy the service:
//
//	carryon keys init - | gcloud secrets create session-keys --data-file=-
//	gcloud run deploy notes --source=. --set-secrets=CARRYON_KEYS=session-keys:latest
//
// An instance reads a secret in a variable when it starts;
// examples/gcpsecretmanager follows a secret live.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const note session.Key[string] = "note"

// grace is one second less than the time between Cloud Run's SIGTERM and
// SIGKILL (10 s).
const grace = 9 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal("cloudrun: ", err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context) error {
	keys, err := keyring.Open(ctx, keyring.Env("CARRYON_KEYS"))
	if err != nil {
		return err
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.CloudRun})
	if err != nil {
		return err
	}
	// HOST is for local tests; Cloud Run requires all addresses.
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), cmp.Or(os.Getenv("PORT"), "8080")))
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	return serve(ctx, listener, sessions.Handler(newMux()))
}

func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		text, _ := note.Get(session.From(r.Context()))
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
		if err != nil {
			http.Error(w, "a note has at most 1,024 bytes", http.StatusRequestEntityTooLarge)
			return
		}
		note.Set(session.From(r.Context()), string(text))
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// serve runs until ctx ends, then accepts no new connections and lets running
// requests finish.
func serve(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		done <- server.Shutdown(last)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
