// Package providers runs real OpenID providers for tests, each behind a [Proxy] that
// counts, fails and forges on demand.
package providers

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience limits waiting. Only failing tests wait for it.
const patience = 30 * time.Second

// ClientID and Secret are the registration of the program at each provider.
const (
	ClientID = "client"
	Secret   = "a secret of the client with enough entropy"
)

// Settings configures a provider. The program's addresses are required.
type Settings struct {
	Redirects       []string `json:"redirects"`       // the program's callbacks
	AfterLogout     []string `json:"afterLogout"`     // its pages after a logout
	BackChannel     string   `json:"backChannel"`     // its address for logout tokens
	LogoutBySubject bool     `json:"logoutBySubject"` // logout tokens name the user, not the session
	JWT             bool     `json:"jwt"`             // access tokens are JSON Web Tokens, else opaque
	AccessFiller    int      `json:"accessFiller"`    // bytes of filler in access tokens that are JWTs
	IDFiller        int      `json:"idFiller"`        // bytes of filler in ID tokens
	Seconds         int      `json:"seconds"`         // lifetime of access tokens; 0 means 300
	Form            bool     `json:"form"`            // visitors must press a button
}

// Counts is what a provider has seen since it was started.
type Counts struct {
	Codes     int // codes exchanged
	Refreshes int // refresh tokens exchanged
	Reused    int // refresh tokens that came a second time, for which the grant ended
}

// Paths are the paths of a provider's endpoints.
type Paths struct{ Authorize, Token, Keys, UserInfo, Logout string }

// Kind is one of the providers.
type Kind struct {
	Name  string
	paths Paths
	start func(p *Provider) backend
}

// backend is a running provider.
type backend interface {
	// address returns "host:port", or "" if the provider does not run.
	address() string
	// kill ends the provider in the middle of what it does. start starts it again with
	// its state.
	kill()
	start()
	counts() Counts
	configure(s Settings)
	// logout sends a logout token to the program.
	logout(sub, sid string)
}

// Provider is a provider behind a proxy. The proxy's URL is the issuer.
type Provider struct {
	*Proxy
	Name     string
	Paths    Paths
	Settings Settings
	t        testing.TB
	backend  backend
}

// Start starts a provider and ends it with the test. It skips the test if the provider
// is not installed.
func (k Kind) Start(t testing.TB, s Settings) *Provider {
	t.Helper()
	if s.Seconds == 0 {
		s.Seconds = 300
	}
	p := &Provider{Name: k.Name, Paths: k.paths, Settings: s, t: t}
	p.Proxy = newProxy(t, k.paths.Token, func() string { return p.backend.address() })
	p.backend = k.start(p)
	return p
}

// Each runs a test with every provider, as a subtest with the provider's name.
func Each(t *testing.T, test func(t *testing.T, k Kind)) {
	t.Helper()
	for _, k := range All {
		t.Run(k.Name, func(t *testing.T) { test(t, k) })
	}
}

// Kill ends the provider in the middle of what it does. Its clients see the connection
// break. Restart starts it again, with its state.
func (p *Provider) Kill() { p.backend.kill() }

// Restart starts a provider that was killed.
func (p *Provider) Restart() { p.t.Helper(); p.backend.start() }

// Counts returns what the provider has seen since its last start.
func (p *Provider) Counts() Counts { p.t.Helper(); return p.backend.counts() }

// Configure changes the settings of the running provider. It does not change the
// program's addresses.
func (p *Provider) Configure(change func(s *Settings)) {
	p.t.Helper()
	change(&p.Settings)
	p.backend.configure(p.Settings)
}

// Logout makes the provider send a logout token for a user's session to the program, as
// it does when an administrator ends that session.
func (p *Provider) Logout(sub, sid string) { p.t.Helper(); p.backend.logout(sub, sid) }

// UserInfo returns the status with which the provider answers a request with an access
// token, and the subject.
func (p *Provider) UserInfo(access string) (status int, sub string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.URL+p.Paths.UserInfo, nil)
	require.NoError(p.t, err)
	r.Header.Set("Authorization", "Bearer "+access)
	response, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	var claims struct{ Sub string }
	body, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	_ = json.Unmarshal(body, &claims) // a refusal may have no body
	return response.StatusCode, claims.Sub
}

// missing skips the test, or fails it in CI, which has all providers.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s; it is required in CI", what)
	}
	t.Skip(what)
}
