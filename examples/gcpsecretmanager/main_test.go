package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

func TestMain(m *testing.M) { managertest.Main(m, main) }

func TestProgramFollowsTheSecret(t *testing.T) {
	s := newServer(t)
	managertest.Follow(t, managertest.Manager{
		Put: s.put,
		Break: func(broken bool) {
			if broken {
				s.set(status.Error(codes.Internal, "Internal error encountered."), false)
			} else {
				s.set(nil, false)
			}
		},
		Env:  s.environment(),
		Args: []string{"-endpoint", s.endpoint, "-secret", name},
	})
}

// newFetch returns the function with which the program reads the secret.
func newFetch(t *testing.T, s *server, secret string) func(context.Context) ([]byte, error) {
	for _, pair := range s.environment() {
		variable, value, _ := strings.Cut(pair, "=")
		t.Setenv(variable, value)
	}
	client, err := newClient(t.Context(), s.endpoint)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return fetch(client, secret)
}

// A process reads its trusted roots only once, so all cases share a server.
func TestFetch(t *testing.T) {
	s := newServer(t)
	read := newFetch(t, s, name)
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)

	t.Run("a secret without a version", func(t *testing.T) {
		_, err := read(t.Context())
		require.Equal(t, codes.NotFound, status.Code(err), err)
	})
	s.put(string(text))
	t.Run("the latest version", func(t *testing.T) {
		got, err := read(t.Context())
		require.NoError(t, err)
		require.Equal(t, text, got)
	})
	t.Run("the largest version", func(t *testing.T) {
		require.LessOrEqual(t, keyring.MaxSize, maxSecret)
		s.put(strings.Repeat("x", maxSecret))
		got, err := read(t.Context())
		require.NoError(t, err)
		require.Len(t, got, maxSecret)
		s.put(string(text))
	})
	t.Run("the latest version is disabled", func(t *testing.T) {
		s.set(status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in DISABLED state.", name+"/versions/2"), false)
		_, err := read(t.Context())
		require.Equal(t, codes.FailedPrecondition, status.Code(err), err)
	})
	t.Run("damaged on its way", func(t *testing.T) {
		s.set(nil, true)
		_, err := read(t.Context())
		require.ErrorContains(t, err, "checksum")
		s.set(nil, false)
	})
	t.Run("another secret", func(t *testing.T) {
		_, err := newFetch(t, s, "projects/example-project/secrets/other")(t.Context())
		require.Equal(t, codes.NotFound, status.Code(err), err)
	})
}
