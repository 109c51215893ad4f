package state

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHMACEqualsTheStandardLibrarys(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 55, 56, 63, 64, 65, 255, 447, 448, 449, 1000, 100_000} {
		key, message := sha256.Sum256([]byte{byte(n)}), []byte(strings.Repeat("消息", n)[:n])
		mac := hmac.New(sha256.New, key[:])
		mac.Write(message)
		sum := hmacSHA256(&key, message)
		require.Equal(t, mac.Sum(nil), sum[:], "%d bytes", n)
	}
}

func TestHKDFEqualsTheStandardLibrarys(t *testing.T) {
	for n := 14; n <= 64; n++ { // FIPS mode refuses shorter secrets
		secret, info := []byte(strings.Repeat("s", n)), strings.Repeat("i", 64-n)
		want, err := hkdf.Key(sha256.New, secret, nil, info, 32)
		require.NoError(t, err)
		sum := hkdfSHA256(secret, info)
		require.Equal(t, want, sum[:], "%d bytes", n)
	}
}

// The tags of SPEC.md, computed with the standard library only.
func TestTagIsAnHMACUnderTheRoot(t *testing.T) {
	root := Root{1, 2, 3}
	for message, tag := range map[string]string{
		"carryon\x00next\x000\x00":        root.NextTag(),
		"carryon\x00end\x000\x00":         root.EndTag(),
		"carryon\x00head\x007\x00":        root.HeadTag(7),
		"carryon\x00whole\x001\x00":       root.WholeTag(7),
		"carryon\x00cell\x0012\x00a\x00b": root.CellTag("a\x00b", 12),
		"carryon\x00seen\x000\x00":        root.SeenTag(),
	} {
		mac := hmac.New(sha256.New, root[:])
		mac.Write([]byte(message))
		require.Equal(t, strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)))[:TagLen], tag)
		require.True(t, IsTag(tag))
	}
}
