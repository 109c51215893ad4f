package oidcsession

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/carryon-go/carryon/middleware"
)

// Config configures [New].
type Config struct {
	// Issuer is the provider's issuer URL, exactly as in its discovery document:
	// "https://accounts.google.com". Required.
	Issuer string

	// ClientID and ClientSecret are from the program's registration at the provider. A
	// public client has no secret. ClientID is required.
	ClientID, ClientSecret string

	// RedirectURL is the callback's address as registered at the provider:
	// "https://app.example/auth/callback". Required. The other routes of [Auth] are
	// its neighbours: /auth/login, /auth/logout and /auth/backchannel-logout.
	RedirectURL string

	// Scopes are requested in addition to "openid". Nil means "profile" and "email".
	// Most providers give out a refresh token only for "offline_access".
	Scopes []string

	// Parameters are added to each authorization request, for requirements of a provider
	// beyond the standard: "audience" (Auth0), "access_type" (Google), "prompt".
	// "response_mode" may be "query" or "form_post".
	Parameters url.Values

	// LoginParameters names the parameters that a link to the login route may add to its
	// authorization request, such as "login_hint", "screen_hint", "prompt" and
	// "ui_locales": /auth/login?screen_hint=signup. Anyone can make such a link, so name
	// no parameter that must not be chosen by a visitor. Their values take precedence
	// over those of Parameters.
	LoginParameters []string

	// Sessions keeps the sign-in. Its Handler must be outside of all handlers of
	// [Auth]. Required.
	Sessions *middleware.Sessions

	// AfterLogout is where visitors arrive after the logout: a URL that is registered
	// at the provider, or a path of this site. "" means "/". A provider without
	// RP-initiated logout does not see it.
	AfterLogout string

	// IDToken selects whether the raw ID token is kept; 0 means [IDTokenIfRoom].
	IDToken IDTokenMode

	// HTTPClient sends the requests to the provider. Nil means a client with a timeout of 10
	// seconds.
	HTTPClient *http.Client

	// ErrorHandler answers a sign-in or logout that has failed; err is a
	// [*SignInError] or an error of the session. Nil means a plain page in English.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Observer is called for each event. It must not block. Nil means that failures
	// are logged with slog.Default.
	Observer func(ctx context.Context, e Event)

	// Clock returns the current time. Nil means time.Now. ID tokens may have expired a
	// minute ago, because clocks differ.
	Clock func() time.Time
}

// IDTokenMode selects whether the raw ID token is kept in the session. Only the
// provider's logout page uses it, as id_token_hint: without it, some providers ask the
// visitor to confirm the logout. The claims are kept in any case.
type IDTokenMode int

const (
	// IDTokenIfRoom keeps the ID token unless the session is then too large
	// ([EventIDTokenDropped]).
	IDTokenIfRoom IDTokenMode = iota
	// IDTokenAlways keeps the ID token. A sign-in for which the session is too large
	// then fails.
	IDTokenAlways
	// IDTokenNever does not keep the ID token.
	IDTokenNever
)

// clockSkew is how long an expired ID token or logout token is accepted.
const clockSkew = time.Minute

// metadata is what [New] reads from the discovery document beyond what package oidc
// does.
type metadata struct {
	EndSession   string `json:"end_session_endpoint"`
	IssParameter bool   `json:"authorization_response_iss_parameter_supported"` // RFC 9207

	TokenAuth []string `json:"token_endpoint_auth_methods_supported"`
}

// New reads the provider's discovery document and returns the handlers for its
// sign-in. C is the type of the claims that the program needs; they are read from the
// ID token by its json tags, and kept in the session.
//
// ctx limits the read. An error is a fault of the configuration, all of which are
// reported at once, or says that the provider cannot be reached.
func New[C any](ctx context.Context, c Config) (*Auth[C], error) {
	a := &Auth[C]{config: c}
	redirect, err := c.check()
	if err != nil {
		return nil, err
	}
	a.callback = path.Base(redirect.Path)
	a.fillDefaults()
	ctx = oidc.ClientContext(ctx, a.config.HTTPClient)
	provider, err := oidc.NewProvider(ctx, c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("oidcsession: reading the discovery document of Config.Issuer: %w", err)
	}
	if err := provider.Claims(&a.meta); err != nil {
		return nil, fmt.Errorf("oidcsession: the discovery document of Config.Issuer is not valid: %w", err)
	}
	a.verifier = provider.VerifierContext(oidc.ClientContext(context.Background(), withKeyCache(a.config.HTTPClient)), &oidc.Config{
		ClientID: c.ClientID,
		Now:      func() time.Time { return a.config.Clock().Add(-clockSkew) },
	})
	a.oauth.config = oauth2.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: c.RedirectURL, Endpoint: provider.Endpoint(),
		Scopes: slices.Concat([]string{oidc.ScopeOpenID}, a.config.Scopes),
	}
	a.oauth.setStyle(a.meta.TokenAuth)
	a.keys = newKeys[C](c.Issuer, c.ClientID)
	a.states = newStates(c)
	return a, nil
}

// check returns all faults of the configuration, and the parsed RedirectURL.
func (c *Config) check() (redirect *url.URL, err error) {
	var faults []error
	fault := func(text string) { faults = append(faults, errors.New("oidcsession: "+text)) }
	for _, required := range []struct{ name, value string }{{"Issuer", c.Issuer}, {"ClientID", c.ClientID}, {"RedirectURL", c.RedirectURL}} {
		if required.value == "" {
			fault("Config." + required.name + " is empty; set it to the value from the provider")
		}
	}
	if c.Sessions == nil {
		fault("Config.Sessions is nil; set it to the result of middleware.New")
	}
	redirect, err = url.Parse(c.RedirectURL)
	if c.RedirectURL != "" && (err != nil || redirect.Host == "" || redirect.Scheme != "https" && redirect.Scheme != "http" || path.Base(redirect.Path) == "/") {
		fault("Config.RedirectURL is not an absolute URL with a path; write it as registered, such as https://app.example/auth/callback")
	}
	if slices.Contains([]string{loginPath, logoutPath, backChannelPath}, path.Base(redirectPath(redirect))) {
		fault("the last part of Config.RedirectURL's path is that of another route; register a callback such as /auth/callback")
	}
	if mode := c.Parameters.Get("response_mode"); mode != "" && mode != "query" && mode != "form_post" {
		fault("Config.Parameters has a response_mode that is neither query nor form_post; remove it")
	}
	for _, name := range ownParameters {
		if c.Parameters.Has(name) && name != "response_mode" {
			fault("Config.Parameters sets " + name + ", which oidcsession sets itself; remove it")
		}
		if slices.Contains(c.LoginParameters, name) {
			fault("Config.LoginParameters has " + name + ", which oidcsession sets itself; remove it")
		}
	}
	if c.IDToken < IDTokenIfRoom || c.IDToken > IDTokenNever {
		fault("Config.IDToken is not one of the constants of IDTokenMode")
	}
	return redirect, errors.Join(faults...)
}

// ownParameters are the parameters of an authorization request that only this package
// sets.
var ownParameters = []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri"}

func redirectPath(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Path
}

// fillDefaults replaces zero fields of the configuration.
func (a *Auth[C]) fillDefaults() {
	c := &a.config
	if c.Scopes == nil {
		c.Scopes = []string{"profile", "email"}
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.ErrorHandler == nil {
		c.ErrorHandler = errorPage
	}
	if c.Observer == nil {
		c.Observer = logFailure
	}
	a.afterLogout = cmp.Or(c.AfterLogout, "/")
	if strings.HasPrefix(a.afterLogout, "/") {
		redirect, _ := url.Parse(c.RedirectURL)
		a.afterLogout = redirect.Scheme + "://" + redirect.Host + a.afterLogout
	}
}

// logFailure is the default Observer.
func logFailure(ctx context.Context, e Event) {
	if e.Err != nil {
		slog.Default().WarnContext(ctx, "oidcsession: "+string(e.Kind), "error", e.Err)
	}
}
