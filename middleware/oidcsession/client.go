package oidcsession

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// tokenClient calls the provider's token endpoint. It sends each code and each refresh
// token once, because a provider may end the sign-in when one comes twice. So it does
// not leave to package oauth2 how the client authenticates: that sends each request
// that fails a second time, in the other style, until one has succeeded.
type tokenClient struct {
	config oauth2.Config
	style  atomic.Int32 // an oauth2.AuthStyle
}

// setStyle chooses the first style to try. methods are those of the discovery document;
// none means client_secret_basic (OpenID Connect Discovery 1.0 section 3).
func (c *tokenClient) setStyle(methods []string) {
	style := oauth2.AuthStyleInHeader
	onlyPost := slices.Contains(methods, "client_secret_post") && !slices.Contains(methods, "client_secret_basic")
	if c.config.ClientSecret == "" || onlyPost {
		style = oauth2.AuthStyleInParams
	}
	c.style.Store(int32(style))
}

// call calls the endpoint with do. It tries the other style only if the provider has
// refused the client before it looked at the grant.
func (c *tokenClient) call(ctx context.Context, h *http.Client, do func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	ctx = oidc.ClientContext(ctx, h)
	style := oauth2.AuthStyle(c.style.Load())
	got, err := do(ctx, c.withStyle(style))
	if c.config.ClientSecret == "" || !refusesClient(err) {
		return got, err
	}
	other := oauth2.AuthStyleInHeader + oauth2.AuthStyleInParams - style
	got, second := do(ctx, c.withStyle(other))
	if refusesClient(second) {
		return nil, err
	}
	c.style.Store(int32(other))
	return got, second
}

// withStyle returns the configuration with a style.
func (c *tokenClient) withStyle(style oauth2.AuthStyle) *oauth2.Config {
	o := &c.config
	endpoint := o.Endpoint
	endpoint.AuthStyle = style
	return &oauth2.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: o.RedirectURL, Endpoint: endpoint, Scopes: o.Scopes}
}

// refusesClient reports whether the provider has not recognized the client (RFC 6749
// section 5.2). Some providers answer invalid_request if the client's id is not where
// they expect it.
func refusesClient(err error) bool {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.StatusCode >= http.StatusInternalServerError {
		return false
	}
	unauthorized := ""
	if answer.Response.StatusCode == http.StatusUnauthorized {
		unauthorized = "invalid_client"
	}
	return slices.Contains([]string{"invalid_client", "unauthorized_client", "invalid_request"}, cmp.Or(answer.ErrorCode, unauthorized))
}
