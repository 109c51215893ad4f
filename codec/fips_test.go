package codec_test

import (
	"crypto/fips140"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
)

// In FIPS 140 mode GCM generates its half of the nonce. The tests of this
// package run again in both modes: values sealed in a mode open in it, and so
// do the vectors, which were sealed outside of it.
func TestFIPS140(t *testing.T) {
	formattest.InFIPS140Modes(t, "^(TestInFIPS140Mode|TestRoundTrip|TestVectors|TestXAESDrawsAFreshNonce|TestRecordVectors|TestRecordSizes)$", "TestInFIPS140Mode")
}

func TestInFIPS140Mode(t *testing.T) {
	if !fips140.Enabled() {
		t.Skip("run by TestFIPS140")
	}
	ring := testRing(t, []int{1})
	value := sealed(t, ring, binding, "x")
	require.Len(t, value, codec.SealedLen(1))
	got, _, err := codec.Open(nil, ring, now, binding, value)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
}
