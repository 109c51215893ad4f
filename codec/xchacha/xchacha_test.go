package xchacha_test

import (
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
	"github.com/carryon-go/carryon/codec/testdata/gen/sealedform"
	"github.com/carryon-go/carryon/codec/xchacha"
	"github.com/carryon-go/carryon/reason"
)

var subject = formattest.Subject{
	Format:      xchacha.New(),
	Vectors:     []string{"../testdata/vectors/format2.json"},
	Read:        read,
	Allocations: 4,
}

func TestFormat2(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("refused there: TestInFIPS140Mode")
	}
	formattest.Run(t, subject)
}

func FuzzOpen(f *testing.F) { formattest.Fuzz(f, subject) }

// read opens format 2 by the formulas of SPEC.md, with the generator's own
// ChaCha20 and Poly1305.
func read(secret []byte, id, ctx string, value []byte) ([]byte, bool) {
	ke, _ := hkdf.Key(sha256.New, secret, nil, "carryon/2 encrypt"+id, 32)
	km, _ := hkdf.Key(sha256.New, secret, nil, "carryon/2 sign"+id, 32)
	n := len(value)
	mac := hmac.New(sha256.New, km)
	mac.Write([]byte(formattest.Prefixed(ctx)))
	mac.Write(value[:n-32])
	if !hmac.Equal(mac.Sum(nil), value[n-32:]) {
		return nil, false
	}
	return sealedform.OpenXChaCha(ke, value[8:32], value[32:n-48], value[n-48:n-32], []byte(string(value[:8])+ctx))
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// The generator's ChaCha is checked against the vectors of
// draft-irtf-cfrg-xchacha-03, sections 2.2.1 and A.3.1.
func TestTheOtherXChaCha(t *testing.T) {
	require.Equal(t, "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc", hex.EncodeToString(sealedform.HChaCha20(
		unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), unhex(t, "000000090000004a0000000031415927"))))

	key := unhex(t, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
	nonce := unhex(t, "404142434445464748494a4b4c4d4e4f5051525354555657")
	aad := unhex(t, "50515253c0c1c2c3c4c5c6c7")
	plaintext := "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
	ciphertext, tag := sealedform.SealXChaCha(key, nonce, []byte(plaintext), aad)
	require.Equal(t, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"+
		"731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"+
		"21f9664c97637da9768812f615c68b13b52e", hex.EncodeToString(ciphertext))
	require.Equal(t, "c0875924c1c7987947deafd8780acf49", hex.EncodeToString(tag))
	back, ok := sealedform.OpenXChaCha(key, nonce, ciphertext, tag, aad)
	require.True(t, ok)
	require.Equal(t, plaintext, string(back))
}

// In FIPS 140 mode the format works unless fips140=only is set. Then a ring
// with a key of the format is refused at once, with the key's id.
func TestFIPS140(t *testing.T) {
	formattest.InFIPS140Modes(t, "^(TestInFIPS140Mode|TestFormat2)$", "TestInFIPS140Mode")
}

func TestInFIPS140Mode(t *testing.T) {
	if !fips140.Enabled() {
		t.Skip("run by TestFIPS140")
	}
	formats, err := codec.NewFormats(xchacha.New())
	require.NoError(t, err)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ring := formattest.Ring(t, 2, []int{1})
	err = formats.Check(ring, now)
	if !fips140.Enforced() {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, reason.UnknownFormat)
	require.ErrorContains(t, err, "FIPS")
	_, err = formats.Seal(nil, ring.Active(now), codec.Binding{}, nil)
	require.ErrorIs(t, err, reason.UnknownFormat)
}
