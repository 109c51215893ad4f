package codec

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha3"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors of https://c2sp.org/XAES-256-GCM, in which MSB1(L) is 0 and 1.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct {
		name                string
		key                 byte
		k1, kx, aad, sealed string
	}{
		{
			"msb 0", 1, "e531954aca063d5b8d9c47a47d4cc6f0",
			"c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b",
			"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
		},
		{
			"msb 1", 3, "23810ec50edb99f374409466ed1f4b7b",
			"e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8",
			"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			nonce, plaintext := []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM")
			x := newXAES(bytes.Repeat([]byte{v.key}, 32))
			require.Equal(t, v.k1, hex.EncodeToString(x.k1[:]))
			require.Equal(t, v.kx, hex.EncodeToString(x.messageKey(nonce)[:]))

			var sealed []byte
			fips140.WithoutEnforcement(func() { sealed = x.sealWithNonce(nil, nonce, plaintext, []byte(v.aad)) })
			require.Equal(t, v.sealed, hex.EncodeToString(sealed[xaesNonceSize:]))
			opened, err := x.Open(nil, sealed, []byte(v.aad))
			require.NoError(t, err)
			require.Equal(t, plaintext, opened)
		})
	}
}

// The accumulated randomized vectors of the same specification: 10,000 rounds
// of random key, nonce, plaintext and additional data.
func TestXAESAccumulated(t *testing.T) {
	rounds, want := 10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	random, sum := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		random.Read(b)
		return b
	}
	for range rounds {
		key, nonce := read(32), read(24)
		plaintext := read(int(read(1)[0]))
		aad := read(int(read(1)[0]))
		x := newXAES(key)
		var sealed []byte
		fips140.WithoutEnforcement(func() { sealed = x.sealWithNonce(nil, nonce, plaintext, aad) })
		sum.Write(sealed[xaesNonceSize:])
		opened, err := x.Open(nil, sealed, aad)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))
	}
	got := make([]byte, 32)
	sum.Read(got)
	require.Equal(t, want, hex.EncodeToString(got))
}

func TestXAESDrawsAFreshNonce(t *testing.T) {
	x, seen := newXAES(make([]byte, 32)), map[string]bool{}
	for range 1000 {
		nonce := x.Seal(nil, nil, nil)[:xaesNonceSize]
		require.NotEqual(t, make([]byte, 12), nonce[:12])
		require.NotEqual(t, make([]byte, 12), nonce[12:])
		require.False(t, seen[string(nonce)])
		seen[string(nonce)] = true
	}
}

// The key of a message does not stay in the pool.
func TestMessageKeysAreCleared(t *testing.T) {
	x := newXAES(bytes.Repeat([]byte{7}, 32))
	cleared := func() {
		k := messageKeys.Get().(*[32]byte)
		defer messageKeys.Put(k)
		require.Zero(t, *k)
	}
	for range 100 { // a pool may drop its values
		sealed := x.Seal(nil, []byte("secret"), nil)
		cleared()
		_, err := x.Open(nil, sealed, nil)
		require.NoError(t, err)
		cleared()
	}
}
