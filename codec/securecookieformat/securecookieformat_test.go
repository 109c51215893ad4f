package securecookieformat_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
	"github.com/carryon-go/carryon/codec/securecookieformat"
	"github.com/carryon-go/carryon/codec/xchacha"
)

const vectors = "../testdata/vectors/format3.json"

func subject() formattest.Subject {
	s := formattest.Subject{
		Format:      securecookieformat.New(),
		Others:      []codec.Format{xchacha.New()},
		Vectors:     []string{vectors},
		Read:        read,
		Allocations: 30,
		FixedTime: func(t *testing.T, f func(*testing.T)) {
			synctest.Test(t, f) // begins at 2000-01-01T00:00:00Z
		},
	}
	if fips140.Enforced() {
		s.Others = nil // FIPS 140 mode forbids XChaCha20
	}
	return s
}

func TestFormat3(t *testing.T) { formattest.Run(t, subject()) }

func FuzzOpen(f *testing.F) { formattest.Fuzz(f, subject()) }

// read opens format 3 by the formulas of SPEC.md, without securecookie.
func read(secret []byte, id, ctx string, value []byte) ([]byte, bool) {
	ke, _ := hkdf.Key(sha256.New, secret, nil, "carryon/3 encrypt"+id, 32)
	km, _ := hkdf.Key(sha256.New, secret, nil, "carryon/3 sign"+id, 32)
	n := len(value)
	date := new(big.Int).SetBytes(value[8:16])
	if date.BitLen() == 64 {
		date.Sub(date, new(big.Int).Lsh(big.NewInt(1), 64))
	}
	input := formattest.Prefixed(ctx) + string(value[:8]) + "|" + date.String() + "|" + base64.URLEncoding.EncodeToString(value[16:n-32])
	mac := hmac.New(sha256.New, km)
	mac.Write([]byte(input))
	if !hmac.Equal(mac.Sum(nil), value[n-32:]) {
		return nil, false
	}
	plaintext := bytes.Clone(value[32 : n-32])
	block, _ := aes.NewCipher(ke)
	cipher.NewCTR(block, value[16:32]).XORKeyStream(plaintext, plaintext)
	return plaintext[1:], plaintext[0] == 0
}

type steps struct {
	KE           string `json:"k_e"`
	KM           string `json:"k_m"`
	Name         string
	SecureCookie string
}

// securecookie itself opens the text that the vectors give, and a program with
// its keys and name can seal values that open here. So the format is
// securecookie and nothing else.
func TestItIsSecurecookie(t *testing.T) {
	text, err := os.ReadFile(vectors)
	require.NoError(t, err)
	var file struct {
		Vectors []struct {
			Name, Open, Plaintext string
			Steps                 *steps
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	opened := 0
	for _, v := range file.Vectors {
		if v.Open != "ok" {
			continue
		}
		sc := securecookie.New(unhex(t, v.Steps.KM), unhex(t, v.Steps.KE))
		sc.SetSerializer(securecookie.NopEncoder{}).MaxAge(0)
		var got []byte
		require.NoError(t, sc.Decode(string(unhex(t, v.Steps.Name)), v.Steps.SecureCookie, &got), v.Name)
		require.Equal(t, "00"+v.Plaintext, hex.EncodeToString(got), v.Name)
		opened++
	}
	require.Greater(t, opened, 10)
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// securecookie's limits, a month and 4096 characters, must be off, because
// they would end sessions silently.
func TestTheLimitsAreOurs(t *testing.T) {
	formats, err := codec.NewFormats(securecookieformat.New())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		ring := formattest.Ring(t, 3, []int{1})
		large := bytes.Repeat([]byte("large "), 10_000)
		value, err := formats.Seal(nil, ring.Active(time.Now()), codec.Binding{}, large)
		require.NoError(t, err)
		for _, later := range []time.Duration{0, 31 * 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
			time.Sleep(later)
			got, _, err := formats.Open(nil, ring, time.Now(), codec.Binding{}, string(value))
			require.NoError(t, err)
			require.True(t, bytes.Equal(large, got))
		}
	})
}

// Even 1 MiB grows only by a third, not by more than a factor of two.
func TestLength(t *testing.T) {
	formats, err := codec.NewFormats(securecookieformat.New())
	require.NoError(t, err)
	ring := formattest.Ring(t, 3, []int{1})
	for _, n := range []int{0, 100, 3000, codec.MaxPlaintext} {
		value, err := formats.Seal(nil, ring.Active(time.Now()), codec.Binding{}, make([]byte, n))
		require.NoError(t, err)
		require.Len(t, value, (4*(65+n)+2)/3)
		require.LessOrEqual(t, len(value), codec.SealedLen(n))
	}
}

// All algorithms that securecookie uses are approved under FIPS 140.
func TestFIPS140(t *testing.T) {
	formattest.InFIPS140Modes(t, "^(TestFormat3|TestTheLimitsAreOurs|TestItIsSecurecookie)$", "TestFormat3")
}
