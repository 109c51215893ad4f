// Command login is a classic session tutorial: a home page, a login form, a
// page for members only, and a logout. The server stores no sessions. Restart
// it, or run a second one on another port with the same key file: the visitor
// is still logged in.
//
//	go run ./examples/login
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	keys := flag.String("keys", "session-keys.json", "key `file`; created on the first run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *keys); err != nil {
		fmt.Fprintln(os.Stderr, "login: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, keyFile string) error {
	if err := createKeyFileOnFirstRun(keyFile); err != nil {
		return err
	}
	keys, err := keyring.Open(ctx, keyring.File(keyFile))
	if err != nil {
		return err
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, ErrorHandler: answerError})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("登录示例:%s\n", pageURL(listener.Addr().(*net.TCPAddr)))
	return serve(ctx, listener, newApp(sessions))
}

// createKeyFileOnFirstRun creates a key ring with one key, readable only by
// its owner, if the file does not exist. In production, run "carryon keys
// init" once before the first deployment. A program that creates its own keys
// logs everybody out whenever the file is missing.
func createKeyFileOnFirstRun(path string) error {
	ring, err := keyring.Generate(time.Now())
	if err != nil {
		return err
	}
	text, err := ring.Marshal()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // not the first run
	}
	if err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		file.Close()
		return err
	}
	fmt.Printf("已生成密钥文件 %s(仅本人可读)。请勿提交到版本库。\n", path)
	return file.Close()
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

// pageURL returns the address for a browser on this machine. The session
// cookie is Secure; over plain http, browsers accept it only on 127.0.0.1 and
// localhost.
func pageURL(a *net.TCPAddr) string {
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(a.Port)) + "/"
}
