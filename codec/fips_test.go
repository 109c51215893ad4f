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

// In FIPS 140 mode the GCM draws its half of the nonce. This package's own tests
// run once more in either mode: what is sealed there opens, and the vectors,
// which were sealed outside of it, open as well.
func TestFIPS140(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("this is the run")
	}
	if runtime.GOARCH == "wasm" {
		t.Skip("WebAssembly starts no processes")
	}
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			run := exec.Command(os.Args[0], "-test.run=^(TestInFIPS140Mode|TestRoundTrip|TestVectors|TestXAESDrawsAFreshNonce|TestRecordVectors|TestRecordSizes)$", "-test.v")
			run.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
			out, err := run.CombinedOutput()
			if strings.HasPrefix(string(out), "panic: fips140: FIPS 140-3 mode ") { // Go says so before any test runs
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
