package keyring

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// day is the start time of the tests.
var day = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// at returns the time the given number of hours after day.
func at(hours float64) time.Time { return day.Add(time.Duration(hours * float64(time.Hour))) }

// keySpan is one key of a test ring: the number of its example key, and its
// activation and expiry in hours (expiry 0: none).
type keySpan struct {
	n               int
	active, expires float64
}

func exampleKey(n int) *Key {
	k := &Key{mat: hide(&material{secret: sha256.Sum256(fmt.Appendf(nil, "carryon test key %d", n))}), format: format1, created: day}
	k.id = k.mat().id()
	return k
}

func newExampleRing(spans ...keySpan) (*Ring, error) {
	var keys []*Key
	for _, s := range spans {
		k := exampleKey(s.n)
		k.active = at(s.active)
		if s.expires != 0 {
			k.expires = at(s.expires)
		}
		keys = append(keys, k)
	}
	return newRing(keys, nil)
}

func exampleRing(t testing.TB, spans ...keySpan) *Ring {
	t.Helper()
	r, err := newExampleRing(spans...)
	require.NoError(t, err)
	return r
}

// exampleText returns a ring in JSON, written independently of Marshal.
func exampleText(n int, edit ...string) string {
	k := exampleKey(n)
	text := fmt.Sprintf(`{"version":1,"keys":[{"id":%q,"secret":%q,"format":1,"created":"2026-01-31T12:00:00Z","active":"2026-01-31T12:00:00Z"}],"dead":[{"id":"00000000","state":"expired","at":"2026-01-01T00:00:00Z"}]}`,
		k.id, base64.RawURLEncoding.EncodeToString(k.mat().secret[:]))
	for i := 0; i < len(edit); i += 2 {
		if !strings.Contains(text, edit[i]) {
			panic("the edit finds nothing: " + edit[i])
		}
		text = strings.Replace(text, edit[i], edit[i+1], 1)
	}
	return text
}

func mustGenerate(t testing.TB, now time.Time) *Ring {
	t.Helper()
	r, err := Generate(now)
	require.NoError(t, err)
	return r
}

func mustMarshal(t testing.TB, r *Ring) []byte {
	t.Helper()
	text, err := r.Marshal()
	require.NoError(t, err)
	return text
}
