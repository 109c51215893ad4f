package main

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

func TestMain(m *testing.M) { managertest.Main(m, main) }

func TestProgramFollowsTheParameter(t *testing.T) {
	aws := managertest.NewAWS(t)
	managertest.Follow(t, managertest.Manager{
		Put:   func(text string) { require.True(t, aws.PutParameter("/carryon/session-keys", text)) },
		Break: aws.Break,
		Env:   aws.Environment(),
	})
	require.Subset(t, []string{"GetParameter"}, aws.Calls(), "the program has no permission for other calls")
}

// newFetch returns the function with which the program reads the parameter.
func newFetch(t *testing.T, aws *managertest.AWS, parameter string) func(context.Context) ([]byte, error) {
	aws.Setenv(t)
	settings, err := config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	return fetch(ssm.NewFromConfig(settings), parameter)
}

func TestParameterIsRead(t *testing.T) {
	aws, text := managertest.NewAWS(t), marshal(t, newRing(t))
	require.True(t, aws.PutParameter("/keys", string(text)))
	got, err := newFetch(t, aws, "/keys")(t.Context())
	require.NoError(t, err)
	require.Equal(t, text, got)
}

func TestMissingParameterIsSaid(t *testing.T) {
	_, err := newFetch(t, managertest.NewAWS(t), "/keys")(t.Context())
	require.ErrorContains(t, err, "ParameterNotFound")
}

func newRing(t *testing.T) *keyring.Ring {
	ring, err := keyring.Generate(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	return ring
}

func marshal(t *testing.T, ring *keyring.Ring) []byte {
	text, err := ring.Marshal()
	require.NoError(t, err)
	return text
}

// docs/secrets.md states the size of a ring that only rotates, and which of
// these fit into a parameter.
func TestHowLargeARingGets(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		name           string
		every, overlap time.Duration
		least, most    int
	}{
		{"quarterly", 91 * day, 0, 0, 1 << 10},
		{"monthly", 30 * day, 0, 0, 2 << 10},
		{"fortnightly", 14 * day, 0, 0, managertest.MaxStandard},
		{"weekly", 7 * day, 0, managertest.MaxStandard, managertest.MaxAdvanced},
		{"weekly, short sessions", 7 * day, 2 * day, managertest.MaxStandard, managertest.MaxAdvanced},
		{"daily", day, 0, managertest.MaxAdvanced, keyring.MaxSize},
	} {
		t.Run(test.name, func(t *testing.T) {
			most := largest(t, test.every, test.overlap)
			t.Logf("%d bytes", most)
			require.Less(t, most, test.most)
			require.Greater(t, most, test.least)
		})
	}
}

// largest returns the size of a ring before it begins to forget the ids of its
// first keys, 402 days after they expired.
func largest(t *testing.T, every, overlap time.Duration) (most int) {
	const day = 24 * time.Hour
	ring := newRing(t)
	start := ring.Keys()[0].Created()
	for now := start; now.Sub(start) < 2*every+450*day; now = now.Add(every) {
		if next, _, err := ring.Rotate(now, keyring.Policy{Overlap: overlap}); err == nil {
			ring = next
		}
		if now.Sub(start) > 300*day {
			most = max(most, len(marshal(t, ring)))
		}
	}
	return most
}
