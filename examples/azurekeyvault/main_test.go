package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

func TestMain(m *testing.M) { managertest.Main(m, main) }

func TestProgramFollowsTheSecret(t *testing.T) {
	s := newServer(t)
	managertest.Follow(t, managertest.Manager{
		Put: s.put, Break: s.fail, Env: s.environment(), Args: []string{"-vault", "https://" + vaultHost},
	})
}

// A program that may not read the secret, or names another one, does not start.
func TestProgramWithoutASecret(t *testing.T) {
	s := newServer(t)
	for want, args := range map[string][]string{
		"SecretNotFound":         {"-vault", "https://" + vaultHost, "-secret", "other"},
		"azurekeyvault: error: ": {"-vault", ""},
	} {
		p := managertest.Start(t, s.environment(), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
		require.Empty(t, p.URL)
		require.NotZero(t, p.Stop())
		require.Contains(t, p.Log(), want)
		require.NotContains(t, p.Log(), token)
	}
}

// A ring that is rotated every week for two years fits a secret.
func TestRingFitsASecret(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	ring, err := keyring.Generate(now)
	require.NoError(t, err)
	for range 104 {
		now = now.AddDate(0, 0, 7)
		ring, _, err = ring.Rotate(now, keyring.Policy{})
		require.NoError(t, err)
	}
	text, err := ring.Marshal()
	require.NoError(t, err)
	require.Less(t, len(text), maxSecret)
}
