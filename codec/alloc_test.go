//go:build !race

package codec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
)

// The race detector makes pools forget on purpose, so it is out.
func TestFewAllocations(t *testing.T) {
	ring := testRing(t, []int{1})
	plaintext := make([]byte, 1000)
	value := sealed(t, ring, binding, string(plaintext))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.Seal(nil, ring.Active(now), binding, plaintext) }), 6.0)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.Open(nil, ring, now, binding, value) }), 6.0)
}

// A record derives its keys anew, for each session has a secret of its own. That
// is nearly all that it allocates, however large it is.
func TestRecordAllocations(t *testing.T) {
	for _, n := range []int{0, 1000, 100_000} {
		plaintext := make([]byte, n)
		record := sealedRecord(t, plaintext)
		room := make([]byte, 0, len(record))
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.SealRecord(room, recordSecret, recordBinding, plaintext) }), 60.0)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.OpenRecord(room, recordSecret, recordBinding, record) }), 60.0)
	}
}
