package formattest

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// InFIPS140Modes runs the tests that the pattern matches again, in a process
// of its own for each of Go's FIPS 140 modes. Each must pass, and the test
// named witness must run.
func InFIPS140Modes(t *testing.T, pattern, witness string) {
	if fips140.Enabled() {
		t.Skip("already in the child process")
	}
	if runtime.GOARCH == "wasm" {
		t.Skip("WebAssembly cannot start processes")
	}
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			run := exec.Command(os.Args[0], "-test.run="+pattern, "-test.v")
			run.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
			out, err := run.CombinedOutput()
			if strings.HasPrefix(string(out), "panic: fips140: FIPS 140-3 mode ") { // Go prints this before any test runs
				t.Skipf("this build has no FIPS 140 mode: %s", out)
			}
			check(t, err == nil, "%v: %s", err, out)
			check(t, strings.Contains(string(out), "--- PASS: "+witness), "%s did not run: %s", witness, out)
		})
	}
}
