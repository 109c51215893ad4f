// Command awssecretsmanager serves sessions whose key ring is a secret in AWS
// Secrets Manager. It reads the secret once a minute: all replicas use a
// rotated ring without a restart, and no one is logged out.
//
//	carryon keys init - >ring.json
//	aws secretsmanager create-secret --name carryon/session-keys --secret-string file://ring.json
//	go run ./examples/awssecretsmanager -secret carryon/session-keys
//
// Region, credentials and endpoint come from the SDK's usual sources: the
// environment (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_SECRETS_MANAGER), the
// shared files, or the role of the machine. The program needs only the
// permission secretsmanager:GetSecretValue, and kms:Decrypt if the secret has
// its own key. docs/secrets.md describes the rotation;
// examples/rotation-lambda performs it.
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

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	secret := flag.String("secret", "carryon/session-keys", "`name` or ARN of the secret that holds the key ring")
	every := flag.Duration("every", time.Minute, "how old the ring may be before a request reads the secret again")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *secret, *every); err != nil {
		fmt.Fprintln(os.Stderr, "awssecretsmanager: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, secret string, every time.Duration) error {
	keys, err := openKeys(ctx, secret, every)
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

// openKeys returns keys that follow the secret. It fails without a valid ring,
// because a program that made its own ring would log everybody out.
func openKeys(ctx context.Context, secret string, every time.Duration) (*keyring.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	client := secretsmanager.NewFromConfig(settings)
	return keyring.Open(ctx, keyring.Func(fetch(client, secret)), keyring.ReloadEvery(every))
}

// fetch returns a function that reads the version with the label AWSCURRENT,
// never AWSPENDING, which has not been tested yet.
func fetch(client *secretsmanager.Client, secret string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
		if err != nil {
			return nil, err
		}
		if out.SecretString != nil {
			return []byte(*out.SecretString), nil
		}
		return out.SecretBinary, nil
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
