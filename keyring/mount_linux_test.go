package keyring

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mountFile mounts a file over another one, as docker run -v FILE:FILE and a
// Kubernetes subPath do.
func mountFile(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.WriteFile(to, nil, 0o600))
	if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount a file here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(to, syscall.MNT_DETACH)) })
}

// The file is a mount point, and a rotation outside replaces it. The program
// cannot see the new file.
func TestFileThatIsAMountPoint(t *testing.T) {
	clock, dir := newTick(), t.TempDir()
	outside, inside := filepath.Join(dir, "outside.json"), filepath.Join(dir, "in side.json")
	first, second := mustGenerate(t, day), mustGenerate(t, day)
	writeRing(t, outside, first)
	mountFile(t, outside, inside)

	var events []ReloadEvent
	keys, err := Open(ctx, File(inside), Clock(clock.now), OnReload(func(e ReloadEvent) { events = append(events, e) }))
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.ErrorIs(t, events[0].Warning, errMountPoint)
	require.NoError(t, events[0].Err)
	require.Equal(t, first.Fingerprint(), events[0].Fingerprint)
	clock.pass(time.Second)
	keys.Ring(ctx)
	require.Len(t, events, 1, "until the file is replaced, reloads succeed")

	writeRing(t, outside+".new", second)
	require.NoError(t, os.Rename(outside+".new", outside))
	for i := range 2 {
		clock.pass(time.Second)
		require.Equal(t, first.Fingerprint(), keys.Ring(ctx).Fingerprint())
		require.Len(t, events, 2+i)
		require.ErrorIs(t, events[1+i].Err, errOrphan)
		require.Equal(t, 1+i, events[1+i].Failures)
	}
	clock.pass(time.Second)
	_, verdict := keys.Resolve(ctx, second.Keys()[0].ID())
	require.Equal(t, Undecided, verdict, "the ring may be out of date")

	// A program that starts now reads the old ring and warns about it.
	log := captureLog(t)
	_, err = Open(ctx, File(inside))
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=WARN")), log)
	require.Contains(t, log.String(), errOrphan.Error())
}

// The recommended alternative: mount the directory.
func TestFileInADirectoryThatIsAMountPoint(t *testing.T) {
	clock, dir := newTick(), t.TempDir()
	outside, inside := filepath.Join(dir, "outside"), filepath.Join(dir, "inside")
	require.NoError(t, os.Mkdir(outside, 0o700))
	require.NoError(t, os.Mkdir(inside, 0o700))
	writeRing(t, filepath.Join(outside, "ring.json"), mustGenerate(t, day))
	if err := syscall.Mount(outside, inside, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount a directory here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(inside, syscall.MNT_DETACH)) })

	var events []ReloadEvent
	keys, err := Open(ctx, File(filepath.Join(inside, "ring.json")), Clock(clock.now), OnReload(func(e ReloadEvent) { events = append(events, e) }))
	require.NoError(t, err)
	require.Empty(t, events)
	second := mustGenerate(t, day)
	writeRing(t, filepath.Join(outside, "new"), second)
	require.NoError(t, os.Rename(filepath.Join(outside, "new"), filepath.Join(outside, "ring.json")))
	clock.pass(time.Second)
	require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
}

// A removed file that is no mount point was replaced.
func TestFileThatIsRemovedIsNoMountPoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	writeRing(t, path, mustGenerate(t, day))
	require.False(t, isMountPoint(path))
	require.False(t, isMountPoint(path+".none"))
}
