//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// lockedBy replaces flock.
func lockedBy(t *testing.T, how func(fd, how int) error) {
	was := flock
	flock = how
	t.Cleanup(func() { flock = was })
}

// newRing makes a ring in a folder of its own.
func newRing(t *testing.T) (file string) {
	file = filepath.Join(t.TempDir(), "ring.json")
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	require.NoError(t, createRing(file, ring))
	return file
}

// NFS makes of flock a lock of fcntl, which for an exclusive one wants a
// descriptor that can write.
func TestLockIsOnADescriptorThatCanWrite(t *testing.T) {
	file, asked := newRing(t), 0
	lockedBy(t, func(fd, how int) error {
		asked++
		if _, err := syscall.Write(fd, nil); err != nil {
			return syscall.EBADF
		}
		return syscall.Flock(fd, how)
	})
	code, _, said := call(time.Now(), "", "keys", "rotate", file)
	require.Equal(t, exitDone, code, said)
	require.NotContains(t, said, "warning")
	require.Equal(t, 1, asked)
}

// Where the file system has no locks, a file beside the ring is one.
func TestFileSystemWithoutLocks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EBADF, syscall.ENOLCK, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		file := newRing(t)
		lockedBy(t, func(int, int) error { return errno })
		code, _, said := call(time.Now(), "", "keys", "rotate", file)
		require.Equal(t, exitDone, code, said)
		require.Contains(t, said, "carryon: warning: cannot lock "+file+" ("+errno.Error()+"), so "+file+".lock is the lock\n")
		require.NoFileExists(t, file+".lock")

		// It is a lock, and says what to do about one that was left behind.
		u := &ui{err: t.Output()}
		unlock, err := u.lock(file, time.Now())
		require.NoError(t, err)
		_, err = u.lock(file, time.Now())
		require.EqualError(t, err, "another carryon is changing "+file+"; if none runs, remove "+file+".lock")
		unlock()
		unlock, err = u.lock(file, time.Now())
		require.NoError(t, err)
		unlock()
	}
}

// A file that its owner cannot write is locked all the same.
func TestLockOfAFileThatCannotBeWritten(t *testing.T) {
	file := newRing(t)
	require.NoError(t, os.Chmod(file, 0o400))
	var said strings.Builder
	u := &ui{err: &said}
	unlock, err := u.lock(file, time.Now())
	require.NoError(t, err)
	_, err = u.lock(file, time.Now())
	require.ErrorContains(t, err, "another carryon has been changing")
	unlock()
	require.Empty(t, said.String())
}

// Another carryon has replaced the file between the opening and the lock: the
// lock is then on a file that nobody sees any more.
func TestLockOfAFileThatWasReplaced(t *testing.T) {
	file, swaps := newRing(t), 0
	lockedBy(t, func(fd, how int) error {
		if swaps < 3 {
			swaps++
			require.NoError(t, os.Rename(file, file+".old"))
			require.NoError(t, os.WriteFile(file, nil, 0o600))
		}
		return syscall.Flock(fd, how)
	})
	f, locked, err := tryLock(file)
	require.NoError(t, err)
	require.False(t, locked)
	require.Nil(t, f)

	u := &ui{err: t.Output()}
	unlock, err := u.lock(file, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, 3, swaps)
	_, locked, err = tryLock(file)
	require.NoError(t, err)
	require.False(t, locked, "it is the file of that name that is locked")
	unlock()
}
