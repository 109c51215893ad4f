// Command vault serves sessions whose key ring is in HashiCorp Vault or
// OpenBao. All replicas use a rotated ring without a restart, and no one is
// logged out.
//
// The ring is either an entry of a secret in a KV engine of version 2:
//
//	carryon keys init - | vault kv put -mount=secret session-keys ring=-
//	go run ./examples/vault -secret session-keys
//
// or a file that the transit engine has encrypted, for example in the program's
// image. docs/secrets.md has the commands:
//
//	go run ./examples/vault -transit session-keys -ring session-keys.vault
//
// The address and the token come from the variables of Vault's own client:
// VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT. A token ends; let
// Vault Agent or Vault Proxy log in, and set VAULT_ADDR to its listener. The
// token needs one of these permissions:
//
//	path "secret/data/session-keys"     { capabilities = ["read"] }
//	path "transit/decrypt/session-keys" { capabilities = ["update"] }
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// place says where the key ring is.
type place struct {
	mount, secret string // in a KV engine
	transit, file string // in a file that the transit engine has encrypted
}

func main() {
	var p place
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	flag.StringVar(&p.mount, "mount", "secret", "`path` of the KV engine")
	flag.StringVar(&p.secret, "secret", "", "`name` of the secret whose entry \"ring\" holds the key ring")
	flag.StringVar(&p.transit, "transit", "", "`name` of the transit engine's key that has encrypted the file -ring")
	flag.StringVar(&p.file, "ring", "session-keys.vault", "`file` with the encrypted key ring, for -transit")
	every := flag.Duration("every", time.Minute, "how old the ring may be before a request looks for a new one")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, p, *every); err != nil {
		fmt.Fprintln(os.Stderr, "vault: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, p place, every time.Duration) error {
	keys, err := openKeys(ctx, p, every)
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

// openKeys returns keys that follow the ring. It fails without a valid ring,
// because a program that made its own ring would log everybody out.
func openKeys(ctx context.Context, p place, every time.Duration) (*keyring.Keys, error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	var source keyring.Source
	switch {
	case p.secret != "":
		source = keyring.Func(fetch(client, p.mount, p.secret))
	case p.transit != "":
		source = keyring.Wrapped(keyring.File(p.file), unwrap(client, p.transit))
	default:
		return nil, errors.New("name the secret with -secret, or the key with -transit")
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return keyring.Open(ctx, source, keyring.ReloadEvery(every))
}

// newClient returns a client with the settings of the environment. It does not
// try again, because Carryon does.
func newClient() (*api.Client, error) {
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, config.Error
	}
	config.MaxRetries = 0
	return api.NewClient(config)
}

// fetch returns a function that reads the newest version of the secret.
func fetch(client *api.Client, mount, secret string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		version, err := client.KVv2(mount).Get(ctx, secret)
		if err != nil {
			return nil, err
		}
		ring, ok := version.Data["ring"].(string)
		if !ok {
			return nil, errors.New(`the secret has no text named "ring"`)
		}
		return []byte(ring), nil
	}
}

// unwrap returns a function that lets the transit engine decrypt a ring.
func unwrap(client *api.Client, key string) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, wrapped []byte) ([]byte, error) {
		answer, err := client.Logical().WriteWithContext(ctx, "transit/decrypt/"+key, map[string]any{"ciphertext": strings.TrimSpace(string(wrapped))})
		if err != nil {
			return nil, err
		}
		if answer == nil {
			return nil, errors.New("the answer is empty")
		}
		text, ok := answer.Data["plaintext"].(string)
		if !ok {
			return nil, errors.New("the answer has no plaintext")
		}
		return base64.StdEncoding.DecodeString(text)
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
