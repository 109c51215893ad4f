package oidcsession

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// provider is an OpenID Connect provider that signs everybody in as its user, rotates
// refresh tokens, and ends the grant if one is used twice. Tests change what it says.
// The real providers are in the module test.
type provider struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu        sync.Mutex
	user      string
	sid       string
	claims    map[string]any              // added to each ID token; a nil value removes a claim
	size      int                         // of the filler in access tokens
	lifetime  time.Duration               // of access tokens
	codes     map[string]url.Values       // the authorization request of each code
	refresh   map[string]*grant           // by refresh token
	tamper    func(answer map[string]any) // changes a token response
	fail      func(w http.ResponseWriter) bool
	delay     time.Duration
	codeUses  int
	refreshes int
	refused   int
	issued    int
	keyReads  int
	began     time.Time
	logouts   []url.Values
	metadata  map[string]any
	now       func() time.Time
}

// grant is a sign-in with its refresh tokens.
type grant struct {
	nonce string
	ended bool
	used  map[string]bool
}

func newProvider(t *testing.T) *provider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := &provider{key: key, user: "ada", sid: "s1", lifetime: time.Hour, size: 100, claims: map[string]any{},
		codes: map[string]url.Values{}, refresh: map[string]*grant{}, metadata: map[string]any{}, now: time.Now, began: time.Now()}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	keys := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.ES256}}}
	keys.SetIssuer(p.URL)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.set(func() { p.keyReads++ })
		keys.ServeHTTP(w, r)
	})
	mux.HandleFunc("/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	mux.HandleFunc("/end", p.end)
	return p
}

func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc := map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/keys", "end_session_endpoint": p.URL + "/end", "id_token_signing_alg_values_supported": []string{"ES256"}}
	maps.Copy(doc, p.metadata)
	writeJSON(w, 200, doc)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// authorize signs the user in without a page.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	p.issued++
	code := fmt.Sprintf("code%d", p.issued)
	p.codes[code] = q
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": q["state"]}.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	fail, delay := p.fail, p.delay
	p.mu.Unlock()
	time.Sleep(delay)
	if fail != nil && fail(w) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	refuse := func(code string) {
		writeJSON(w, 400, map[string]any{"error": code, "error_description": "secret eyJ" + r.FormValue("refresh_token")})
	}
	switch r.FormValue("grant_type") {
	case "authorization_code":
		p.codeUses++
		q, ok := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("code_challenge_method") != "S256" {
			refuse("invalid_grant")
			return
		}
		p.answer(w, &grant{nonce: q.Get("nonce"), used: map[string]bool{}})
	case "refresh_token":
		old := r.FormValue("refresh_token")
		g := p.refresh[old]
		switch {
		case g == nil || g.ended || g.used[old]:
			p.refused++
			if g != nil {
				g.ended = true
			}
			refuse("invalid_grant")
			return
		}
		g.used[old] = true
		p.refreshes++
		p.answer(w, g)
	default:
		refuse("unsupported_grant_type")
	}
}

// answer sends new tokens. The lock is held.
func (p *provider) answer(w http.ResponseWriter, g *grant) {
	p.issued++
	refresh := fmt.Sprintf("refresh%d-%s", p.issued, strings.Repeat("r", 30))
	p.refresh[refresh] = g
	filler := make([]byte, p.size*3/4)
	rand.Read(filler)
	access := fmt.Sprintf("eyJhbGciOiJub25lIn0.%d.%s", p.issued, base64.RawURLEncoding.EncodeToString(filler))
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{"iss": p.URL, "aud": "client", "sub": p.user, "sid": p.sid, "nonce": g.nonce, "name": "Ada " + p.user,
		"iat": p.now().Unix(), "exp": p.now().Add(5 * time.Minute).Unix(), "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])}
	for name, v := range p.claims {
		if v == nil {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "refresh_token": refresh,
		"expires_in": int(p.lifetime.Seconds()), "id_token": p.sign(claims)}
	if p.tamper != nil {
		p.tamper(answer)
	}
	writeJSON(w, 200, answer)
}

func (p *provider) sign(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return oidctest.SignIDToken(p.key, "k", oidc.ES256, string(text))
}

func (p *provider) end(w http.ResponseWriter, r *http.Request) {
	p.set(func() { p.logouts = append(p.logouts, r.URL.Query()) })
	http.Redirect(w, r, r.URL.Query().Get("post_logout_redirect_uri"), http.StatusFound)
}

func (p *provider) counts() (codeUses, refreshes, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codeUses, p.refreshes, p.refused
}
