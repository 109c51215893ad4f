package keyring

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The example ring of SPEC.md.
//
//go:embed testdata/example-ring.json
var specRing []byte

// The table of SPEC.md: the states of the keys of its ring at several times.
func TestRingOfTheSpecification(t *testing.T) {
	ring, err := DangerouslyParseWithExampleKeys(specRing)
	require.NoError(t, err)
	require.Equal(t, string(specRing), string(mustMarshal(t, ring)), "Marshal writes the same form")
	require.Equal(t, "6d5969bd629788ac", ring.Fingerprint())
	_, err = Parse(specRing)
	require.ErrorContains(t, err, "from a public document")

	for now, want := range map[string]string{
		"2025-12-31T23:59:59Z": "active staged staged revoked",
		"2026-01-01T00:00:00Z": "active staged staged revoked",
		"2026-02-01T00:59:59Z": "active staged staged revoked",
		"2026-02-01T01:00:00Z": "retired active staged revoked",
		"2026-03-01T01:00:00Z": "retired retired active revoked",
		"2026-03-05T01:00:00Z": "expired retired active revoked",
		"2026-04-02T01:00:00Z": "expired expired active revoked",
	} {
		at, err := time.Parse(time.RFC3339, now)
		require.NoError(t, err)
		var got []string
		for n := 1; n <= 4; n++ {
			_, state := ring.Find(exampleKey(n).id, at)
			got = append(got, state.String())
		}
		require.Equal(t, want, strings.Join(got, " "), now)
	}
}
