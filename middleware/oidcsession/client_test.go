package oidcsession

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// endpoint is a token endpoint that accepts the client's secret in one style.
type endpoint struct {
	style oauth2.AuthStyle
	fail  func(w http.ResponseWriter)
	calls atomic.Int32
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.calls.Add(1)
	_, _, inHeader := r.BasicAuth()
	switch {
	case inHeader != (e.style == oauth2.AuthStyleInHeader):
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case e.fail != nil:
		e.fail(w)
	default:
		writeJSON(w, 200, map[string]any{"access_token": "a", "token_type": "Bearer"})
	}
}

// newEndpoint returns a client of the endpoint.
func newEndpoint(t *testing.T, e *endpoint, secret string, methods ...string) func() error {
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c := &tokenClient{config: oauth2.Config{ClientID: "c", ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: server.URL}}}
	c.setStyle(methods)
	return func() error {
		_, err := c.call(t.Context(), server.Client(), func(ctx context.Context, o *oauth2.Config) (*oauth2.Token, error) {
			return o.TokenSource(ctx, &oauth2.Token{RefreshToken: "r"}).Token()
		})
		return err
	}
}

// A client finds out by itself where the provider expects its secret, and remembers it.
func TestClientStyle(t *testing.T) {
	header, params := oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams
	for name, c := range map[string]struct {
		style   oauth2.AuthStyle
		secret  string
		methods []string
		calls   int // of two successes
	}{
		"header":                {header, "s", nil, 2},
		"header, both named":    {header, "s", []string{"client_secret_post", "client_secret_basic"}, 2},
		"parameters":            {params, "s", nil, 3},
		"parameters, named":     {params, "s", []string{"client_secret_post"}, 2},
		"header, wrongly named": {header, "s", []string{"client_secret_post"}, 3},
		"no secret":             {params, "", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{style: c.style}
			call := newEndpoint(t, e, c.secret, c.methods...)
			require.NoError(t, call())
			require.NoError(t, call())
			require.EqualValues(t, c.calls, e.calls.Load())
		})
	}
}

// A request that may have used the refresh token up is not sent again.
func TestClientSendsOnce(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"lost answer": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"overloaded":  func(w http.ResponseWriter) { writeJSON(w, 503, map[string]any{"error": "invalid_client"}) },
		"refused":     func(w http.ResponseWriter) { writeJSON(w, 400, map[string]any{"error": "invalid_grant"}) },
		"garbage":     func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{style: oauth2.AuthStyleInHeader, fail: fail}
			require.Error(t, newEndpoint(t, e, "s")())
			require.EqualValues(t, 1, e.calls.Load())
		})
	}
	e := &endpoint{style: oauth2.AuthStyleInHeader, fail: func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }}
	call := newEndpoint(t, e, "wrong")
	require.True(t, refusesClient(call()))
	require.EqualValues(t, 2, e.calls.Load(), "each style once")
}
