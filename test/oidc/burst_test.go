package oidc_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// platforms are those whose limits are the tightest for tokens. nginx has the buffers
// that docs/limits.md advises.
var platforms = []struct {
	name     string
	platform middleware.Platform
	limits   middleware.Limits
}{
	{"nginx with raised buffers", middleware.Nginx, middleware.Limits{ResponseBytes: 8000}},
	{"ALB", middleware.ALB, middleware.Limits{}},
	{"API Gateway", middleware.APIGateway, middleware.Limits{}},
}

// arrangements are those that promise one refresh for each expired token.
var arrangements = []struct {
	name   string
	change func(t *testing.T, s *setup)
}{
	{"one replica", func(*testing.T, *setup) {}},
	{"one replica with memory", func(_ *testing.T, s *setup) { s.store = memory }},
	{"one replica with Redis", func(t *testing.T, s *setup) { s.store = inRedis(t) }},
	{"three replicas with Redis", func(t *testing.T, s *setup) { s.replicas, s.store = 3, inRedis(t) }},
	{"three replicas, stored", func(t *testing.T, s *setup) {
		s.replicas, s.store = 3, inRedis(t)
		s.sessions.Fallback.Mode = middleware.AlwaysStored
	}},
}

// Parallel requests with an expired access token refresh it once, and no visitor is
// signed out.
func TestBurstsRefreshOnce(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		for _, p := range platforms {
			for _, a := range arrangements {
				t.Run(p.name+", "+a.name, func(t *testing.T) {
					s := w.newSite(t, func(set *setup) {
						set.sessions.Platform, set.sessions.Limits = p.platform, p.limits
						a.change(t, set)
					})
					v := s.visitor()
					v.signIn()
					for round := range rounds(t) {
						for _, n := range []int{6, 30, 200} {
							v.refreshInBurst(t, n, fmt.Sprintf("round %d, %d requests", round, n))
						}
					}
					require.Zero(t, s.count(oidcsession.EventSignedOut))
					require.Zero(t, s.count(oidcsession.EventRefreshFailed))
					t.Logf("longest Cookie header: %d of %d bytes", s.longest, s.limits.RequestBytes)
				})
			}
		}
	})
}

// refreshInBurst lets n requests find an expired token.
func (v *visitor) refreshInBurst(t *testing.T, n int, what string) {
	t.Helper()
	old := v.token()
	before, reusedBefore := v.Refreshes()
	counts := v.Counts()
	v.expire()
	answers := v.burst(n, "/token")
	for _, a := range answers {
		require.Equal(t, http.StatusOK, a.StatusCode, "%s: %s", what, a.body)
		require.Equal(t, answers[0].body, a.body, what)
		require.NotEqual(t, old, a.body, what)
	}
	require.Equal(t, answers[0].body, v.token(), what)
	require.True(t, v.signedIn(), what)
	all, reused := v.Refreshes()
	require.Equal(t, before+1, all, what)
	require.Equal(t, reusedBefore, reused, what)
	require.Equal(t, counts.Refreshes+1, v.Counts().Refreshes, what)
	require.Equal(t, counts.Reused, v.Counts().Reused, what)
}
