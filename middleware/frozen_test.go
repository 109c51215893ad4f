package middleware_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// TestNeedsNothingBesideRequests checks that no goroutine or timer is left when
// all requests have ended, because a Lambda process is frozen between requests. If
// none is left, Go's runtime reports a program that waits as deadlocked.
func TestNeedsNothingBesideRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it builds a program")
	}
	program := filepath.Join(t.TempDir(), "frozen")
	build := exec.Command("go", "build", "-o", program, "./testdata/frozen")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // with a timer left, the program would wait
	defer cancel()
	run := exec.CommandContext(ctx, program)
	run.Env = []string{"CARRYON_KEYS=" + string(text)}
	out, err = run.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "nothing is left over")
	require.Contains(t, string(out), "all goroutines are asleep - deadlock!")
}
