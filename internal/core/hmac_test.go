package core

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHMACIsThatOfTheStandardLibrary(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 55, 56, 63, 64, 65, 255, 426, 427, 428, 443, 444, 1000, 100_000} {
		key, message := sha256.Sum256([]byte{byte(n)}), []byte(strings.Repeat("消息", n)[:n])
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte("label"))
		mac.Write(message)
		sum := hmacSHA256(&key, "label", message)
		require.Equal(t, mac.Sum(nil), sum[:], "%d bytes", n)
	}
}

func TestHKDFIsThatOfTheStandardLibrary(t *testing.T) {
	for n := 14; n <= 64; n++ { // FIPS mode takes no shorter secret
		secret, info := []byte(strings.Repeat("s", n)), strings.Repeat("i", 64-n)
		want, err := hkdf.Key(sha256.New, secret, nil, info, 32)
		require.NoError(t, err)
		sum := hkdfSHA256(secret, info)
		require.Equal(t, want, sum[:], "%d bytes", n)
	}
}

// The name as SPEC.md has it, by the standard library alone.
func TestNameIsTheHMACOfTheContent(t *testing.T) {
	f := &Fragment{Kind: Data, Root: Root{1, 2, 3}, Created: 1, End: 5, Born: Stamp{At: 2, ID: 3}}
	for _, n := range []int{0, 10, 5000} {
		f.Entries = []Entry{{Name: "a", Stamp: Stamp{At: 3, ID: 4}, Value: make([]byte, n)}}
		f.written = written{}
		f.Name()
		mac := hmac.New(sha256.New, f.Root[:])
		mac.Write([]byte("carryon fragment name"))
		mac.Write(f.AppendContent(nil))
		require.Equal(t, strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)))[:SuffixLen], f.Suffix)
	}
}
