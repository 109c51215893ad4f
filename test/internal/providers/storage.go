package providers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// storage is an op.Storage in memory. The storage decides what happens to refresh tokens:
// package op leaves that to it.
type storage struct {
	issuer string
	key    *ecdsa.PrivateKey

	mu       sync.Mutex
	settings Settings
	count    Counts
	requests map[string]*request
	codes    map[string]*request
	access   map[string]*grant // by token id
	refresh  map[string]*refresh
}

// refresh is a refresh token.
type refresh struct {
	grant grant
	used  bool
}

var _ op.Storage = (*storage)(nil)

func newStorage(t testing.TB, issuer string, s Settings) *storage {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &storage{issuer: issuer, key: key, settings: s, requests: map[string]*request{}, codes: map[string]*request{},
		access: map[string]*grant{}, refresh: map[string]*refresh{}}
}

func (s *storage) current() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

func (s *storage) configure(settings Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = settings
}

func (s *storage) currentCounts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *storage) resetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = Counts{}
}

// CreateAuthRequest begins a sign-in.
func (s *storage) CreateAuthRequest(_ context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := &request{AuthRequest: r, id: rand.Text(), grant: grant{scopes: r.Scopes, state: &grantState{}}}
	s.requests[made.id] = made
	return made, nil
}

// approve notes that the visitor has signed in.
func (s *storage) approve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests[id]
	if r == nil {
		return errors.New("no such sign-in")
	}
	r.user, r.sub, r.sid, r.at = "ada", "ada", rand.Text(), time.Now()
	return nil
}

func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	return s.find(s.requests, id)
}

func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	return s.find(s.codes, code)
}

func (s *storage) find(in map[string]*request, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := in[id]
	if r == nil {
		return nil, errors.New("no such sign-in")
	}
	c := *r // package op reads it without the lock
	return &c, nil
}

func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = s.requests[id]
	return nil
}

// DeleteAuthRequest forgets a sign-in whose code was exchanged.
func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	maps.DeleteFunc(s.codes, func(_ string, r *request) bool { return r.id == id })
	return nil
}

func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (id string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := grantOf(r)
	if err != nil {
		return "", expires, err
	}
	id, expires = s.addAccess(g)
	return id, expires, nil
}

// CreateAccessAndRefreshTokens makes new tokens. The current refresh token is used up.
func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, r op.TokenRequest, current string) (id, next string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := grantOf(r)
	switch {
	case err != nil:
		return "", "", expires, err
	case current == "":
		s.count.Codes++
	default:
		if err := s.use(current); err != nil {
			return "", "", expires, err
		}
		s.count.Refreshes++
	}
	next = rand.Text() + rand.Text()
	s.refresh[next] = &refresh{grant: *g}
	id, expires = s.addAccess(g)
	return id, next, expires, nil
}

// use uses a refresh token up. If it was used before, its grant ends. The lock is held.
func (s *storage) use(token string) error {
	found := s.refresh[token]
	switch {
	case found == nil || found.grant.state.ended:
		return oidc.ErrInvalidGrant()
	case found.used:
		s.count.Reused++
		found.grant.state.ended = true
		return oidc.ErrInvalidGrant()
	}
	found.used = true
	return nil
}

// addAccess adds an access token. The lock is held.
func (s *storage) addAccess(g *grant) (id string, expires time.Time) {
	id = rand.Text()
	s.access[id] = g
	return id, time.Now().Add(time.Duration(s.settings.Seconds) * time.Second)
}

func grantOf(r op.TokenRequest) (*grant, error) {
	switch r := r.(type) {
	case *request:
		g := r.grant
		return &g, nil
	case *grant:
		return r, nil
	}
	return nil, oidc.ErrUnsupportedGrantType()
}

// TokenRequestByRefreshToken returns the grant of a refresh token. It refuses one that
// was used before, and ends its grant.
func (s *storage) TokenRequestByRefreshToken(_ context.Context, token string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.refresh[token]
	if found == nil || found.used || found.grant.state.ended {
		return nil, s.use(token)
	}
	g := found.grant
	return &g, nil
}

// TerminateSessionFromRequest ends the session that an ID token names, and tells the
// program.
func (s *storage) TerminateSessionFromRequest(ctx context.Context, r *op.EndSessionRequest) (string, error) {
	if r.IDTokenHintClaims == nil {
		return r.RedirectURI, nil
	}
	return r.RedirectURI, s.sendLogout(ctx, r.UserID, r.IDTokenHintClaims.SessionID)
}

func (s *storage) TerminateSession(context.Context, string, string) error { return nil }

func (s *storage) RevokeToken(context.Context, string, string, string) *oidc.Error {
	return oidc.ErrInvalidRequest()
}

func (s *storage) GetRefreshTokenInfo(context.Context, string, string) (user, id string, err error) {
	return "", "", op.ErrInvalidRefreshToken
}

const keyID = "key of the provider"

// signingKey is an op.SigningKey.
type signingKey struct{ key *ecdsa.PrivateKey }

func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) Key() any                                    { return k.key }
func (k signingKey) ID() string                                  { return keyID }

// publicKey is an op.Key.
type publicKey struct{ signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.key.PublicKey }

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return signingKey{s.key}, nil }
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}
func (s *storage) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{publicKey{signingKey{s.key}}}, nil
}

func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != ClientID {
		return nil, errors.New("no such client")
	}
	return client{s.current()}, nil
}

func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != ClientID || secret != Secret {
		return errors.New("wrong secret")
	}
	return nil
}

func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest sets the claims of an ID token.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	g, err := grantOf(r)
	if err != nil {
		return err
	}
	settings := s.current()
	info.Subject, info.Name, info.Email = g.sub, "Ada "+g.sub, g.sub+"@example.com"
	if !settings.LogoutBySubject {
		info.AppendClaims("sid", g.sid)
	}
	info.AppendClaims("filler", filler(settings.IDFiller))
	return nil
}

// SetUserinfoFromToken answers the userinfo endpoint.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, sub, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.access[id]; g == nil || g.state.ended {
		return errors.New("the token was revoked")
	}
	info.Subject = sub
	return nil
}

func (s *storage) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errors.New("not supported")
}

// GetPrivateClaimsFromScopes sets the claims of an access token that is a JWT.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return map[string]any{"filler": filler(s.current().AccessFiller)}, nil
}

func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errors.New("not supported")
}

func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errors.New("not supported")
}

func (s *storage) Health(context.Context) error { return nil }

// filler returns base64url text that does not compress.
func filler(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}

// logoutToken returns a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
func (s *storage) logoutToken(sub, sid string) (string, error) {
	claims := map[string]any{"iss": s.issuer, "aud": ClientID, "sub": sub, "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	if !s.current().LogoutBySubject {
		claims["sid"] = sid
	}
	options := (&jose.SignerOptions{}).WithType("logout+jwt").WithHeader("kid", keyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, options)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
