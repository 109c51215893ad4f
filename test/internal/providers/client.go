package providers

import (
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var scopes = []string{"openid", "profile", "email", "offline_access"}

// client is the program's registration at the provider, an op.Client.
type client struct{ Settings }

func (c client) GetID() string                       { return ClientID }
func (c client) RedirectURIs() []string              { return c.Redirects }
func (c client) PostLogoutRedirectURIs() []string    { return c.AfterLogout }
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c client) LoginURL(id string) string            { return "/login?id=" + id }
func (c client) IDTokenLifetime() time.Duration       { return 24 * time.Hour }
func (c client) DevMode() bool                        { return true } // http addresses
func (c client) IsScopeAllowed(scope string) bool     { return slices.Contains(scopes, scope) }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) ClockSkew() time.Duration             { return 0 }
func (c client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}

func (c client) AccessTokenType() op.AccessTokenType {
	if c.JWT {
		return op.AccessTokenTypeJWT
	}
	return op.AccessTokenTypeBearer
}

func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return same }
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return same }

func same(scopes []string) []string { return scopes }

// request is a sign-in that has begun, an op.AuthRequest.
type request struct {
	*oidc.AuthRequest
	id   string
	user string // "" until the visitor has signed in
	grant
}

func (r *request) GetID() string                      { return r.id }
func (r *request) GetACR() string                     { return "" }
func (r *request) GetClientID() string                { return r.ClientID }
func (r *request) GetNonce() string                   { return r.Nonce }
func (r *request) GetRedirectURI() string             { return r.RedirectURI }
func (r *request) GetResponseType() oidc.ResponseType { return r.ResponseType }
func (r *request) GetResponseMode() oidc.ResponseMode { return r.ResponseMode }
func (r *request) GetState() string                   { return r.State }
func (r *request) Done() bool                         { return r.user != "" }
func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.CodeChallenge, Method: r.CodeChallengeMethod}
}

// grant is what a visitor has granted, an op.RefreshTokenRequest.
type grant struct {
	sub    string
	sid    string
	scopes []string
	at     time.Time
	state  *grantState // shared by all copies
}

type grantState struct{ ended bool }

func (g *grant) GetSubject() string          { return g.sub }
func (g *grant) GetAudience() []string       { return []string{ClientID} }
func (g *grant) GetAuthTime() time.Time      { return g.at }
func (g *grant) GetAMR() []string            { return nil }
func (g *grant) GetScopes() []string         { return g.scopes }
func (g *grant) GetClientID() string         { return ClientID }
func (g *grant) SetCurrentScopes(s []string) { g.scopes = s }
