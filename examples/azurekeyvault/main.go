// Command azurekeyvault serves sessions whose key ring is a secret in Azure Key
// Vault. It reads the newest version of the secret once a minute: all replicas
// use a rotated ring without a restart, and no one is logged out.
//
//	carryon keys init session-keys.json
//	az keyvault secret set --vault-name example --name session-keys --encoding utf-8 --file session-keys.json --output none
//	go run ./examples/azurekeyvault -vault https://example.vault.azure.net
//
// Credentials come from the SDK's usual sources: variables of the environment,
// the workload or managed identity of the machine, or the login of az. The
// identity needs only the role Key Vault Secrets User on this secret.
// docs/secrets.md describes the rotation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	vault := flag.String("vault", "", "`URL` of the vault: https://NAME.vault.azure.net")
	secret := flag.String("secret", "session-keys", "`name` of the secret that holds the key ring")
	every := flag.Duration("every", time.Minute, "how old the ring may be before a request reads the secret again")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *vault, *secret, *every); err != nil {
		fmt.Fprintln(os.Stderr, "azurekeyvault: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, vault, secret string, every time.Duration) error {
	client, err := newClient(vault)
	if err != nil {
		return err
	}
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

// newClient returns a client that does not try again, because Carryon does.
func newClient(vault string) (*azsecrets.Client, error) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	options := &azsecrets.ClientOptions{}
	options.Retry.MaxRetries = -1
	return azsecrets.NewClient(vault, credential, options)
}

// openKeys returns keys that follow the secret. It fails without a valid ring,
// because a program that made its own ring would log everybody out.
func openKeys(ctx context.Context, client *azsecrets.Client, secret string, every time.Duration) (*keyring.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return keyring.Open(ctx, keyring.Func(fetch(client, secret)), keyring.ReloadEvery(every))
}

// fetch returns a function that reads the newest version of the secret.
func fetch(client *azsecrets.Client, secret string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		version, err := client.GetSecret(ctx, secret, "", nil)
		if err != nil {
			return nil, err
		}
		if version.Value == nil {
			return nil, errors.New("the secret has no value")
		}
		return []byte(*version.Value), nil
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
