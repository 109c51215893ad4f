package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A ring file that is a mount point, as after docker run -v FILE:FILE, cannot
// be replaced. The command leaves it unchanged and leaves no other file.
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
	require.Contains(t, said, "carryon: error: "+inside+" was not changed: ")
	require.Contains(t, said, "carryon: hint: a file that is a mount point cannot be replaced; mount its directory instead\n")
	after, err := os.ReadFile(inside)
	require.NoError(t, err)
	require.Equal(t, before, after)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
}
