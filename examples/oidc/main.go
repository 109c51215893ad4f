// Command oidc is a site whose visitors sign in with OpenID Connect. Their tokens are
// in cookies; parallel requests refresh them once; a logout at the provider ends the
// session here.
//
//	go run ./examples/oidc
//
// It starts a provider of its own for the demonstration. To use yours, register
// http://localhost:8080/auth/callback there and set these variables:
//
//	OIDC_ISSUER         such as https://accounts.google.com
//	OIDC_CLIENT_ID
//	OIDC_CLIENT_SECRET
//	OIDC_SCOPES         by default "profile email offline_access"
//	OIDC_PARAMETERS     for the authorization request, such as access_type=offline&prompt=consent
//	OIDC_REDIRECT_URL   if the site has another address than http://localhost:8080
//	OIDC_API            an address that takes the access token; by default the provider's userinfo endpoint
//	PLATFORM            the preset of limits, such as apigateway
//	SESSION_KEYS        a file of "carryon keys init"; by default a key that ends with the program
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/carryon-go/carryon/examples/oidc/provider"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := flag.String("addr", "localhost:8080", "`address` to listen on (port 0: any free one)")
	lifetime := flag.Duration("lifetime", 20*time.Second, "how long access tokens of the demonstration provider live")
	size := flag.Int("token-bytes", 2000, "length of access tokens of the demonstration provider")
	flag.Parse()
	if err := run(ctx, *addr, *lifetime, *size); err != nil {
		fmt.Fprintln(os.Stderr, "oidc: error:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, lifetime time.Duration, size int) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	home := "http://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	c, err := fromEnvironment(home)
	if err != nil {
		return err
	}
	if c.Issuer == "" {
		if c.demo, err = startProvider(ctx, &c, lifetime, size); err != nil {
			return err
		}
	}
	site, err := newSite(ctx, c)
	if err != nil {
		return err
	}
	fmt.Println("Open " + home + "/")
	if c.demo != nil {
		fmt.Println("OIDC_ISSUER is not set, so the identity provider is a demonstration, at " + c.Issuer)
	}
	return serve(ctx, listener, site)
}

// config is the site's configuration.
type config struct {
	oidcsession.Config
	api      string // an address that takes the access token
	platform middleware.Platform
	keys     keyring.Provider
	store    fallback.Store
	demo     *provider.Provider // nil: another provider
}

func fromEnvironment(home string) (c config, err error) {
	c.Issuer, c.ClientID, c.ClientSecret = os.Getenv("OIDC_ISSUER"), os.Getenv("OIDC_CLIENT_ID"), os.Getenv("OIDC_CLIENT_SECRET")
	c.RedirectURL = cmp.Or(os.Getenv("OIDC_REDIRECT_URL"), home+"/auth/callback")
	c.Scopes = strings.Fields(cmp.Or(os.Getenv("OIDC_SCOPES"), "profile email offline_access"))
	c.api, c.platform = os.Getenv("OIDC_API"), middleware.Platform(os.Getenv("PLATFORM"))
	if c.Parameters, err = url.ParseQuery(os.Getenv("OIDC_PARAMETERS")); err != nil {
		return c, errors.New("OIDC_PARAMETERS is not of the form name=value&name=value")
	}
	// Several processes need a store that they share, such as redisstore.
	if c.store, err = fallback.NewMemory(fallback.MemoryConfig{}); err != nil {
		return c, err
	}
	if file := os.Getenv("SESSION_KEYS"); file != "" {
		c.keys, err = keyring.Open(context.Background(), keyring.File(file))
		return c, err
	}
	c.keys, err = keyring.Generate(time.Now())
	return c, err
}

// startProvider serves a provider on this machine, and completes the configuration for
// it. Its host is another one than the site's, as in production, so that cookies do
// not mix.
func startProvider(ctx context.Context, c *config, lifetime time.Duration, size int) (*provider.Provider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.Issuer, c.ClientID, c.ClientSecret = "http://"+listener.Addr().String(), "demo", rand.Text()
	p, err := provider.New(provider.Config{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Redirect: c.RedirectURL,
		BackChannel: strings.TrimSuffix(c.RedirectURL, "callback") + "backchannel-logout", Lifetime: lifetime, TokenBytes: size})
	if err != nil {
		return nil, err
	}
	go func() { _ = serve(ctx, listener, p) }()
	return p, nil
}

// newSite returns the site's handler.
func newSite(ctx context.Context, c config) (http.Handler, error) {
	var err error
	c.Sessions, err = middleware.New(middleware.Config{Keys: c.keys, Platform: c.platform,
		Fallback: middleware.Fallback{Store: c.store, List: true}})
	if err != nil {
		return nil, err
	}
	if c.api == "" {
		discovered, err := oidc.NewProvider(ctx, c.Issuer)
		if err != nil {
			return nil, err
		}
		c.api = discovered.UserInfoEndpoint()
	}
	s := &site{config: c}
	c.Observer = s.observe
	if s.auth, err = oidcsession.New[claims](ctx, c.Config); err != nil {
		return nil, err
	}
	return s.handler(), nil
}

// serve runs until ctx ends, then lets running requests finish.
func serve(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), 9*time.Second)
		defer cancel()
		done <- server.Shutdown(last)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
