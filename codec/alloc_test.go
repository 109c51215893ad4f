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
