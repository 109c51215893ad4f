package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A ring file that is itself mounted, as by docker run -v FILE:FILE, cannot be
// replaced. It stays as it is, and nothing is left beside it.
func TestRingFileThatIsAMountPoint(t *testing.T) {
	outside, dir := newRing(t), t.TempDir()
	inside := filepath.Join(dir, "ring.json")
	require.NoError(t, os.WriteFile(inside, nil, 0o600))
	if err := syscall.Mount(outside, inside, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount a file here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(inside, syscall.MNT_DETACH)) })
	before, err := os.ReadFile(inside)
	require.NoError(t, err)

	code, _, said := call(time.Now(), "", "keys", "rotate", inside)
	require.Equal(t, exitFail, code)
	require.Contains(t, said, "carryon: error: "+inside+" is as it was: ")
	require.Contains(t, said, "carryon: hint: a file that is itself mounted cannot be replaced; mount its directory\n")
	after, err := os.ReadFile(inside)
	require.NoError(t, err)
	require.Equal(t, before, after)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
}
