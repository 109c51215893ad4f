package main

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

func TestMain(m *testing.M) { managertest.Main(m, main) }

func TestProgramFollowsTheSecret(t *testing.T) {
	aws := managertest.NewAWS(t)
	managertest.Follow(t, managertest.Manager{
		Put:   func(text string) { aws.PutSecret("carryon/session-keys", text) },
		Break: aws.Break,
		Env:   aws.Environment(),
	})
	require.Subset(t, []string{"GetSecretValue"}, aws.Calls(), "the program has no permission for other calls")
}

// newFetch returns the function with which the program reads the secret.
func newFetch(t *testing.T, aws *managertest.AWS, secret string) func(context.Context) ([]byte, error) {
	aws.Setenv(t)
	settings, err := config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	return fetch(secretsmanager.NewFromConfig(settings), secret)
}

func ringText(t *testing.T) []byte {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	return text
}

func TestSecretIsFoundByNameAndARN(t *testing.T) {
	aws, text := managertest.NewAWS(t), ringText(t)
	aws.PutSecret("keys", string(text))
	for _, id := range []string{"keys", aws.ARN("keys")} {
		got, err := newFetch(t, aws, id)(t.Context())
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

func TestSecretMayBeBinary(t *testing.T) {
	aws, text := managertest.NewAWS(t), ringText(t)
	aws.PutBinary("keys", text)
	got, err := newFetch(t, aws, "keys")(t.Context())
	require.NoError(t, err)
	require.Equal(t, text, got)
}

// The pending version has not been tested, so only the rotation may read it.
func TestPendingVersionIsNotRead(t *testing.T) {
	aws, text := managertest.NewAWS(t), ringText(t)
	aws.PutSecret("keys", string(text))
	_, err := aws.BeginRotation("keys")
	require.NoError(t, err)
	got, err := newFetch(t, aws, "keys")(t.Context())
	require.NoError(t, err)
	require.Equal(t, text, got)
}

func TestMissingSecretIsSaidByName(t *testing.T) {
	_, err := newFetch(t, managertest.NewAWS(t), "keys")(t.Context())
	require.ErrorContains(t, err, "ResourceNotFoundException")
}

// A ring cannot exceed the secret: both are limited to 64 KB.
func TestLargestRingFits(t *testing.T) {
	require.LessOrEqual(t, keyring.MaxSize, managertest.MaxSecret)
}
