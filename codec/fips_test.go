package codec_test

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
)

// In FIPS 140 mode GCM generates its half of the nonce. The tests of this
// package run again in both modes: values sealed in a mode open in it, and so
// do the vectors, which were sealed outside of it.
func TestFIPS140(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("already in the child process")
	}
	if runtime.GOARCH == "wasm" {
		t.Skip("WebAssembly cannot start processes")
	}
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			run := exec.Command(os.Args[0], "-test.run=^(TestInFIPS140Mode|TestRoundTrip|TestVectors|TestXAESDrawsAFreshNonce|TestRecordVectors|TestRecordSizes)$", "-test.v")
			run.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
			out, err := run.CombinedOutput()
			if strings.HasPrefix(string(out), "panic: fips140: FIPS 140-3 mode ") { // Go prints this before any test runs
				t.Skipf("this build has no FIPS 140 mode: %s", out)
			}
			require.NoError(t, err, string(out))
			require.Contains(t, string(out), "--- PASS: TestInFIPS140Mode")
		})
	}
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
