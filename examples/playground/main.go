// Command playground serves a page and a JSON API for experiments with a
// session.
//
//	go run ./examples/playground
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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/carryon-go/carryon/examples/internal/playground"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// options holds the flags.
type options struct {
	playground.Options
	addr, keys, store string
	mode              middleware.Mode
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` to listen on (port 0: any free one)")
	flag.StringVar(&o.keys, "keys", "", "key `file`, as \"carryon keys init\" creates it (default: keys that end with the program)")
	flag.StringVar(&o.Name, "name", middleware.DefaultName, "base `name` of the session cookies")
	flag.DurationVar(&o.Lifetime, "lifetime", middleware.DefaultLifetime, "how long a session lives")
	flag.DurationVar(&o.Idle, "idle", middleware.DefaultIdleTimeout, "how long it lives unused (negative: no limit)")
	flag.DurationVar(&o.Touch, "touch", 0, "how old the last-seen time is when a read renews it (0: half of -idle, negative: always)")
	flag.StringVar(&o.Limits, "limits", "", "`platform` whose limits apply, one of "+platformNames()+" (default: the library's)")
	flag.BoolVar(&o.FixedName, "fixed-name", false, "one cookie with exactly the name; the last response wins")
	flag.StringVar(&o.store, "store", os.Getenv("CARRYON_STORE"), "`address` of the store for sessions that are too large for cookies: "+storeForms+" (default: $CARRYON_STORE, or none)")
	choice(&o.mode, "mode", "where sessions live", modes)
	flag.DurationVar(&o.StoreTimeout, "store-timeout", middleware.DefaultStoreTimeout, "how long a call of the store may take (negative: as long as the request)")
	choice(&o.Outage, "outage", "what visitors get while the store is down", outages)
	choice(&o.Revocation, "revocation", "whether to ask the store if sessions in cookies have been ended", revocations)
	flag.DurationVar(&o.Revocations, "revocation-max-age", middleware.DefaultRevocationMaxAge, "how old the knowledge about ended sessions may be (negative: always ask the store)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "playground: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, o options) error {
	if _, ok := middleware.Platform(o.Limits).Limits(); !ok {
		return fmt.Errorf("-limits %q names no platform; choose one of %s", o.Limits, platformNames())
	}
	keys, err := openKeys(ctx, o.keys)
	if err != nil {
		return err
	}
	store, done, err := openStore(ctx, o.store)
	if err != nil {
		return err
	}
	defer func() { _ = done() }()
	o.Store = storeName(o.store)
	c := o.Config(keys)
	c.Fallback.Store, c.Fallback.Mode = store, o.mode
	sessions, err := middleware.New(c)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	fmt.Printf("会话实验台:%s\n", pageURL(listener.Addr().(*net.TCPAddr)))
	return serve(ctx, listener, playground.New(sessions, o.Options))
}

func openKeys(ctx context.Context, file string) (keyring.Provider, error) {
	if file == "" {
		return keyring.Ephemeral(), nil
	}
	return keyring.Open(ctx, keyring.File(file))
}

// The words of the flags, in the order of the library's values; the first is the
// default.
var (
	modes       = []string{"auto", "cookies", "stored"}
	outages     = []string{"refuse", "absent", "strict"}
	revocations = []string{"on", "strict", "off"}
)

// choice defines a flag that takes one of some words.
func choice[T ~int](value *T, name, usage string, words []string) {
	list := strings.Join(words, ", ")
	flag.Func(name, usage+", one `of` "+list+" (default: "+words[0]+")", func(word string) error {
		i := slices.Index(words, word)
		if i < 0 {
			return fmt.Errorf("it must be one of %s", list)
		}
		*value = T(i)
		return nil
	})
}

// platformNames lists the values of -limits.
func platformNames() string {
	var names []string
	for _, p := range middleware.Platforms() {
		if p != middleware.Default {
			names = append(names, string(p))
		}
	}
	return strings.Join(names, ", ")
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
