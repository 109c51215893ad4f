package oidc_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// Replicas without a common store may all refresh. A provider that detects the reuse of
// refresh tokens then ends the grant. The visitor is not signed out for that: the winner's
// access token stays in the session until it expires. Then the provider refuses the
// winner's refresh token, too, and ten seconds later the session ends.
func TestRaceWithoutAStore(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		s := newWorld(t, k, nil).newSite(t, func(set *setup) { set.replicas = 3 })
		for range 3 * rounds(t) {
			v := s.visitor()
			v.signIn()
			signedOut, reused := s.count(oidcsession.EventSignedOut), s.Counts().Reused
			won := v.race(t)
			require.True(t, v.signedIn())
			require.Equal(t, won, v.step(http.MethodGet, "/token", nil).body)
			require.Positive(t, s.Counts().Reused-reused)
			status, _ := s.UserInfo(won)
			require.NotEqual(t, http.StatusOK, status, "the provider has ended the grant")

			s.expire()
			require.Equal(t, "lost race invalid_grant\n", v.step(http.MethodGet, "/token", nil).body)
			require.True(t, v.signedIn())
			require.Equal(t, signedOut, s.count(oidcsession.EventSignedOut))
			s.clock.advance(10 * time.Second)
			a := v.step(http.MethodGet, "/token", nil)
			require.Equal(t, http.StatusUnauthorized, a.StatusCode, a.body)
			require.False(t, v.signedIn())
		}
	})
}

// race makes three replicas refresh at the same time and returns the winner's token.
func (v *visitor) race(t *testing.T) (won string) {
	t.Helper()
	gate := providers.NewGate()
	v.BreakToken(gate.Hold)
	defer v.Repair()
	v.expire()
	go func() {
		for range 3 {
			gate.Wait(t)
		}
		gate.Open()
	}()
	for _, a := range v.burst(30, "/token") {
		if a.StatusCode == http.StatusOK {
			require.Contains(t, []string{"", a.body}, won, "one replica wins")
			won = a.body
			continue
		}
		require.Equal(t, "lost race invalid_grant\n", a.body)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	}
	require.NotEmpty(t, won)
	return won
}
