package codec_test

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
)

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	binding = codec.Binding{Base: "__Host-session", Suffix: "k7m2qv5xyd"}
)

// testSecret returns the n-th example secret, which keyring.Parse refuses.
func testSecret(n int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "carryon test key %d", n))
	return sum[:]
}

func testID(t testing.TB, n int) string {
	id, err := hkdf.Key(sha256.New, testSecret(n), nil, "carryon key id", 4)
	require.NoError(t, err)
	return hex.EncodeToString(id)
}

// testRing returns a ring with the given example keys; the last one seals. The
// keys in dead are remembered as revoked.
func testRing(t testing.TB, keys []int, dead ...int) *keyring.Ring {
	var rows, gone []string
	for i, n := range keys {
		rows = append(rows, fmt.Sprintf(
			`{"id":%q,"secret":%q,"format":1,"created":"2026-01-01T00:00:00Z","active":"2026-01-%02dT00:00:00Z"}`,
			testID(t, n), base64.RawURLEncoding.EncodeToString(testSecret(n)), i+1))
	}
	for _, n := range dead {
		gone = append(gone, fmt.Sprintf(`{"id":%q,"state":"revoked","at":"2026-01-01T00:00:00Z"}`, testID(t, n)))
	}
	text := `{"version":1,"keys":[` + strings.Join(rows, ",") + `],"dead":[` + strings.Join(gone, ",") + `]}`
	ring, err := keyring.DangerouslyParseWithExampleKeys([]byte(text))
	require.NoError(t, err)
	return ring
}

func sealed(t testing.TB, ring *keyring.Ring, b codec.Binding, plaintext string) string {
	value, err := codec.Seal(nil, ring.Active(now), b, []byte(plaintext))
	require.NoError(t, err)
	return string(value)
}
