// Package provider is a small OpenID Connect provider for demonstrations: it has no
// passwords, keeps everything in memory, and listens on this machine only. What it
// says on the wire is real: authorization codes with PKCE, signed tokens, refresh
// tokens that are replaced at each use, and both kinds of logout.
package provider

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Config configures [New].
type Config struct {
	Issuer       string // the address at which the provider is served
	ClientID     string // of the only client
	ClientSecret string
	Redirect     string        // the client's callback
	BackChannel  string        // where the client takes logout tokens
	Lifetime     time.Duration // of access tokens
	TokenBytes   int           // the length of access tokens, at least about 600
}

// Provider is an http.Handler.
type Provider struct {
	config Config
	mux    *http.ServeMux
	key    *rsa.PrivateKey
	signer jose.Signer

	mu     sync.Mutex
	codes  map[string]*request
	grants map[string]*grant // by the current and the former refresh tokens
	logins map[string]*login // by sid
	counts Counts
}

// Counts say what the client has asked for.
type Counts struct {
	Codes, Refreshes, Reused int
}

// request is an authorization request that the user has confirmed.
type request struct {
	challenge, nonce string
	login            *login
}

// login is a user's session at the provider.
type login struct {
	SID, User string
	Since     time.Time
	ended     bool
}

// grant is the right to refresh, of one sign-in.
type grant struct {
	*request
	current string // the only refresh token that is accepted
	ended   bool
}

// users are the users by name.
var users = map[string]map[string]any{
	"ada":   {"name": "Ada Lovelace", "email": "ada@example.com"},
	"grace": {"name": "Grace Hopper", "email": "grace@example.com"},
}

// New returns a provider with a new key.
func New(c Config) (*Provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{}).WithHeader("kid", "demo")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, options)
	if err != nil {
		return nil, err
	}
	p := &Provider{config: c, mux: http.NewServeMux(), key: key, signer: signer,
		codes: map[string]*request{}, grants: map[string]*grant{}, logins: map[string]*login{}}
	p.mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	p.mux.HandleFunc("GET /keys", p.keys)
	p.mux.HandleFunc("GET /authorize", p.askUser)
	p.mux.HandleFunc("POST /authorize", p.authorize)
	p.mux.HandleFunc("POST /token", p.token)
	p.mux.HandleFunc("GET /userinfo", p.userinfo)
	p.mux.HandleFunc("GET /logout", p.logout)
	p.mux.HandleFunc("GET /{$}", p.sessions)
	p.mux.HandleFunc("POST /end", p.end)
	return p, nil
}

func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p.mux.ServeHTTP(w, r)
}

// Counts returns what the client has asked for so far.
func (p *Provider) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	iss := p.config.Issuer
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": iss, "authorization_endpoint": iss + "/authorize", "token_endpoint": iss + "/token", "jwks_uri": iss + "/keys",
		"userinfo_endpoint": iss + "/userinfo", "end_session_endpoint": iss + "/logout",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic"},
		"authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true,
		"backchannel_logout_session_supported": true,
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p.key.Public(), KeyID: "demo", Algorithm: string(jose.RS256), Use: "sig"}}})
}

// authorize answers the user's choice with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	user := r.PostFormValue("user")
	if users[user] == nil || r.FormValue("client_id") != p.config.ClientID || r.FormValue("redirect_uri") != p.config.Redirect {
		http.Error(w, "unknown user, client_id or redirect_uri", http.StatusBadRequest)
		return
	}
	answer := url.Values{"iss": {p.config.Issuer}, "state": {r.FormValue("state")}}
	switch {
	case r.FormValue("response_type") != "code" || r.FormValue("code_challenge_method") != "S256" || len(r.FormValue("code_challenge")) != 43:
		answer.Set("error", "invalid_request")
	default:
		answer.Set("code", p.newCode(user, r))
	}
	http.Redirect(w, r, p.config.Redirect+"?"+answer.Encode(), http.StatusSeeOther)
}

func (p *Provider) newCode(user string, r *http.Request) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &login{SID: rand.Text(), User: user, Since: time.Now()}
	p.logins[l.SID] = l
	code := rand.Text()
	p.codes[code] = &request{challenge: r.FormValue("code_challenge"), nonce: r.FormValue("nonce"), login: l}
	return code
}

// userinfo is an API for which the client needs an access token.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	claims, err := p.verify(r.Header.Get("Authorization"))
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	answer := map[string]any{"sub": claims.Subject}
	for name, value := range users[claims.Subject] {
		answer[name] = value
	}
	writeJSON(w, http.StatusOK, answer)
}

// verify checks the access token of a request.
func (p *Provider) verify(authorization string) (claims jwt.Claims, err error) {
	var raw string
	if _, err := fmt.Sscanf(authorization, "Bearer %s", &raw); err != nil {
		return claims, fmt.Errorf("no access token")
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return claims, fmt.Errorf("not an access token")
	}
	var more struct {
		SID string `json:"sid"`
	}
	if err := token.Claims(p.key.Public(), &claims, &more); err != nil {
		return claims, fmt.Errorf("not an access token of this provider")
	}
	// Clocks differ, and a request takes time: a minute of leeway, as APIs usually have.
	err = claims.ValidateWithLeeway(jwt.Expected{Issuer: p.config.Issuer, AnyAudience: jwt.Audience{p.config.Issuer}, Time: time.Now()}, jwt.DefaultLeeway)
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.logins[more.SID]; l == nil || l.ended {
		return claims, fmt.Errorf("the session has ended")
	}
	return claims, err
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
