// Command gcpsecretmanager serves sessions whose key ring is a secret in
// Google Cloud Secret Manager. It reads the secret's latest version once a
// minute: all replicas use a rotated ring without a restart, and no one is
// logged out.
//
//	carryon keys init - | gcloud secrets create session-keys --data-file=-
//	go run ./examples/gcpsecretmanager -secret projects/PROJECT/secrets/session-keys
//
// Credentials come from the client library's usual sources: the variable
// GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, or the service account of
// the machine. The program needs only the role
// roles/secretmanager.secretAccessor on this secret. A regional secret has its
// own endpoint:
//
//	-endpoint secretmanager.REGION.rep.googleapis.com:443 \
//	-secret projects/PROJECT/locations/REGION/secrets/session-keys
//
// docs/secrets.md describes the rotation. Google usually propagates the latest
// version within minutes, but it can take hours, so keep a new key staged for
// a day.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	secret := flag.String("secret", "", "resource `name` of the secret that holds the key ring: projects/PROJECT/secrets/NAME")
	endpoint := flag.String("endpoint", "", "`host:port` of the service (default: secretmanager.googleapis.com:443)")
	every := flag.Duration("every", time.Minute, "how old the ring may be before a request reads the secret again")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *secret, *endpoint, *every); err != nil {
		fmt.Fprintln(os.Stderr, "gcpsecretmanager: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, secret, endpoint string, every time.Duration) error {
	client, err := newClient(ctx, endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	keys, err := openKeys(ctx, client, secret, every)
	if err != nil {
		return err
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	return serve(ctx, listener, newApp(sessions))
}

func newClient(ctx context.Context, endpoint string) (*secretmanager.Client, error) {
	var options []option.ClientOption
	if endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}
	return secretmanager.NewClient(ctx, options...)
}

// openKeys returns keys that follow the secret. It fails without a valid ring,
// because a program that made its own ring would log everybody out.
func openKeys(ctx context.Context, client *secretmanager.Client, secret string, every time.Duration) (*keyring.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return keyring.Open(ctx, keyring.Func(fetch(client, secret)), keyring.ReloadEvery(every))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fetch returns a function that reads the latest version of the secret and
// verifies its checksum.
func fetch(client *secretmanager.Client, secret string) func(context.Context) ([]byte, error) {
	request := &secretmanagerpb.AccessSecretVersionRequest{Name: secret + "/versions/latest"}
	return func(ctx context.Context) ([]byte, error) {
		version, err := client.AccessSecretVersion(ctx, request)
		if err != nil {
			return nil, err
		}
		payload := version.GetPayload()
		if payload.DataCrc32C != nil && payload.GetDataCrc32C() != int64(crc32.Checksum(payload.GetData(), castagnoli)) {
			return nil, errors.New("the secret was damaged in transit: its checksum does not match; try again")
		}
		return payload.GetData(), nil
	}
}

// grace is how long running requests may take when the server stops. net/http
// waits five seconds for connections that a browser has opened but not used
// yet.
const grace = 9 * time.Second

// serve runs until ctx ends, then lets running requests finish.
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
