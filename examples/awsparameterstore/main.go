// Command awsparameterstore serves sessions whose key ring is a SecureString
// in AWS Systems Manager Parameter Store. It reads the parameter once a
// minute: all replicas use a rotated ring without a restart, and no one is
// logged out.
//
//	carryon keys init ring.json
//	aws ssm put-parameter --name /carryon/session-keys --type SecureString --value file://ring.json
//	go run ./examples/awsparameterstore -parameter /carryon/session-keys
//
// Region, credentials and endpoint come from the SDK's usual sources: the
// environment (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_SSM), the shared
// files, or the role of the machine. The program needs only the permission
// ssm:GetParameter, and kms:Decrypt if the parameter has its own key.
//
// A parameter has at most 4 KB, or 8 KB in the paid advanced tier. That is
// less than the maximum size of a ring. docs/secrets.md says which rings fit,
// and how to rotate.
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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	parameter := flag.String("parameter", "/carryon/session-keys", "`name` or ARN of the parameter that holds the key ring")
	every := flag.Duration("every", time.Minute, "how old the ring may be before a request reads the parameter again")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *parameter, *every); err != nil {
		fmt.Fprintln(os.Stderr, "awsparameterstore: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, parameter string, every time.Duration) error {
	keys, err := openKeys(ctx, parameter, every)
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

// openKeys returns keys that follow the parameter. It fails without a valid
// ring, because a program that made its own ring would log everybody out.
func openKeys(ctx context.Context, parameter string, every time.Duration) (*keyring.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	client := ssm.NewFromConfig(settings)
	return keyring.Open(ctx, keyring.Func(fetch(client, parameter)), keyring.ReloadEvery(every))
}

// fetch returns a function that reads the newest version of the parameter.
// Without decryption it would get ciphertext and no error.
func fetch(client *ssm.Client, parameter string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter, WithDecryption: aws.Bool(true)})
		if err != nil {
			return nil, err
		}
		return []byte(aws.ToString(out.Parameter.Value)), nil
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
