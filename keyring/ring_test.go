package keyring

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// day is the time that the tests count from.
var day = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func TestGenerateRoundTrips(t *testing.T) {
	ring, err := Generate(day)
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	again, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, ring.Fingerprint(), again.Fingerprint())

	key, state := again.Find(ring.Active(day).ID(), day)
	require.Equal(t, Active, state)
	require.Same(t, again.Active(day), key)
}
