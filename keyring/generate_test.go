package keyring

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every byte of a secret is random: no byte is equal in all keys. Two hundred
// random bytes are all equal less than once in 2^1500 runs.
func TestEveryByteOfASecretIsDrawn(t *testing.T) {
	first := newKey(day, day, format1, nil).mat().secret
	differs := [secretSize]bool{}
	for range 200 {
		for i, b := range newKey(day, day, format1, nil).mat().secret {
			differs[i] = differs[i] || b != first[i]
		}
	}
	for i, d := range differs {
		require.True(t, d, "byte %d is the same in all keys", i)
	}
}

// Every public secret is refused: those of SPEC.md, the hashes of common
// words, and the one of the NIST standard.
func TestEveryExampleIsRefused(t *testing.T) {
	var secrets [][]byte
	hash := func(text string) {
		sum := sha256.Sum256([]byte(text))
		secrets = append(secrets, sum[:])
	}
	for n := 1; n <= 64; n++ {
		hash(fmt.Sprintf("carryon test key %d", n))
	}
	for _, word := range []string{"", "a", "abc", "carryon", "changeme", "hello", "key", "password", "secret", "session", "test", "123456"} {
		hash(word)
	}
	nist, err := hex.DecodeString("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	require.NoError(t, err)
	for _, secret := range append(secrets, nist) {
		k := &Key{mat: hide(&material{secret: [secretSize]byte(secret)})}
		text := fmt.Sprintf(`{"version":1,"keys":[{"id":"%v","secret":%q,"format":1,"created":"2026-01-31T12:00:00Z","active":"2026-01-31T12:00:00Z"}]}`,
			k.mat().id(), base64.RawURLEncoding.EncodeToString(secret))
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, "example from a public document", "%x", secret)
		_, err = DangerouslyParseWithExampleKeys([]byte(text))
		require.NoError(t, err)
	}
}

// No other process has an ephemeral ring, so an unknown key is dead and its
// cookies can be cleared.
func TestEphemeralKnowsAllItsKeys(t *testing.T) {
	ring := Ephemeral().Ring(context.Background())
	_, state := ring.Find(unknownID(1), day)
	require.Equal(t, Expired, state)
	_, state = mustGenerate(t, day).Find(unknownID(1), day)
	require.Equal(t, Unknown, state)
}
