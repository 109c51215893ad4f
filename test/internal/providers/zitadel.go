package providers

import (
	"context"
	"crypto/rand"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Zitadel is the provider of github.com/zitadel/oidc, with a storage that rotates
// refresh tokens and ends the grant when one is used twice. It runs in this process.
var Zitadel = Kind{
	Name:  "zitadel",
	paths: Paths{Authorize: "/authorize", Token: "/oauth/token", Keys: "/keys", UserInfo: "/userinfo", Logout: "/end_session"},
	start: startZitadel,
}

// zitadel is a server of the provider.
type zitadel struct {
	t       testing.TB
	handler http.Handler
	storage *storage

	mu     sync.Mutex
	server *http.Server
	listen string // address
}

func startZitadel(p *Provider) backend {
	p.t.Helper()
	s := newStorage(p.t, p.URL, p.Settings)
	config := &op.Config{
		CodeMethodS256: true, GrantTypeRefreshToken: true, BackChannelLogoutSupported: true, BackChannelLogoutSessionSupported: true,
		DefaultLogoutRedirectURI: "/", SupportedScopes: scopes,
	}
	rand.Read(config.CryptoKey[:]) // never fails
	provider, err := op.NewOpenIDProvider(p.URL, config, s, op.WithAllowInsecure())
	require.NoError(p.t, err)
	z := &zitadel{t: p.t, storage: s}
	mux := http.NewServeMux()
	mux.Handle("/", provider)
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) { s.serveLogin(w, r, op.AuthCallbackURL(provider)) })
	z.handler = mux
	z.start()
	p.t.Cleanup(z.kill)
	return z
}

// start listens. The counts begin at zero.
func (z *zitadel) start() {
	z.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(z.t, err)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.listen = l.Addr().String()
	z.server = &http.Server{Handler: z.handler, ErrorLog: log.New(io.Discard, "", 0)}
	z.storage.resetCounts()
	go z.server.Serve(l)
}

// kill cuts all connections. It may be called again.
func (z *zitadel) kill() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.listen = ""
	_ = z.server.Close()
}

func (z *zitadel) address() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.listen
}

func (z *zitadel) counts() Counts       { return z.storage.currentCounts() }
func (z *zitadel) configure(s Settings) { z.storage.configure(s) }
func (z *zitadel) logout(sub, sid string) {
	z.t.Helper()
	require.NoError(z.t, z.storage.sendLogout(context.Background(), sub, sid))
}

var loginPage = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>Provider</title>
<form method="post" action="/login?id={{.}}"><input type="hidden" name="id" value="{{.}}"><button id="sign-in">Sign in</button></form>`))

// serveLogin signs the visitor in: at once, or after a form with a button.
func (s *storage) serveLogin(w http.ResponseWriter, r *http.Request, callback func(context.Context, string) string) {
	id := r.FormValue("id")
	if s.current().Form && r.Method != http.MethodPost {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = loginPage.Execute(w, id)
		return
	}
	if err := s.approve(id); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, callback(op.ContextWithIssuer(r.Context(), s.issuer), id), http.StatusSeeOther)
}

// sendLogout sends a logout token to the program.
func (s *storage) sendLogout(ctx context.Context, sub, sid string) error {
	raw, err := s.logoutToken(sub, sid)
	if err != nil {
		return err
	}
	response, err := http.PostForm(s.current().BackChannel, url.Values{"logout_token": {raw}})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the program has answered a logout token with %d", response.StatusCode)
	}
	return nil
}
