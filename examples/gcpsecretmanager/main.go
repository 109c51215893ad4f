// Command gcpsecretmanager serves sessions whose key ring is a secret in Google
// Cloud Secret Manager. It looks at the secret's latest version once a minute: a
// ring that was rotated there is in use on all replicas without a restart, and
// nobody is logged out.
//
//	carryon keys init - | gcloud secrets create session-keys --data-file=-
//	go run ./examples/gcpsecretmanager -secret projects/PROJECT/secrets/session-keys
//
// Credentials come from where the client library always looks: the variable
// GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, the service account of the
// machine. The program needs no role but roles/secretmanager.secretAccessor on
// this one secret. A regional secret is at an endpoint of its own:
//
//	-endpoint secretmanager.REGION.rep.googleapis.com:443 \
//	-secret projects/PROJECT/locations/REGION/secrets/session-keys
//
// docs/secrets.md says how to rotate. With Google the latest version is seen
// everywhere after minutes as a rule, but hours at worst: let a new key be staged
// for a day.
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
	every := flag.Duration("every", time.Minute, "how old the ring may be before a request looks at the secret again")
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

// openKeys follows the secret. Without a good ring to begin with it fails: a
// program that made its own would log everybody out.
func openKeys(ctx context.Context, client *secretmanager.Client, secret string, every time.Duration) (*keyring.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return keyring.Open(ctx, keyring.Func(fetch(client, secret)), keyring.ReloadEvery(every))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fetch returns what reads the latest version of the secret, and checks the
// checksum that comes with it.
func fetch(client *secretmanager.Client, secret string) func(context.Context) ([]byte, error) {
	request := &secretmanagerpb.AccessSecretVersionRequest{Name: secret + "/versions/latest"}
	return func(ctx context.Context) ([]byte, error) {
		version, err := client.AccessSecretVersion(ctx, request)
		if err != nil {
			return nil, err
		}
		payload := version.GetPayload()
		if payload.DataCrc32C != nil && payload.GetDataCrc32C() != int64(crc32.Checksum(payload.GetData(), castagnoli)) {
			return nil, errors.New("the secret was damaged on its way: its checksum does not match; ask again")
		}
		return payload.GetData(), nil
	}
}

// grace is how long requests under way may take when the server ends. Connections that a
// browser has opened ahead and not used yet take net/http five seconds.
const grace = 9 * time.Second

// serve answers until ctx ends, then lets the requests under way finish.
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
