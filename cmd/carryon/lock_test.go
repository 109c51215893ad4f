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

// lockedBy replaces flock for a test.
func lockedBy(t *testing.T, how func(fd, how int) error) {
	was := flock
	flock = how
	t.Cleanup(func() { flock = was })
}

// newRing creates a ring in a new folder and returns its file.
func newRing(t *testing.T) (file string) {
	file = filepath.Join(t.TempDir(), "ring.json")
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	require.NoError(t, (&ui{}).createRing(file, ring))
	return file
}

// NFS implements flock by a lock of fcntl. For an exclusive lock, that needs a
// descriptor that is open for writing.
func TestLockIsOnADescriptorThatCanWrite(t *testing.T) {
	file, locks := newRing(t), 0
	lockedBy(t, func(fd, how int) error {
		locks++
		if _, err := syscall.Write(fd, nil); err != nil {
			return syscall.EBADF
		}
		return syscall.Flock(fd, how)
	})
	code, _, said := call(time.Now(), "", "keys", "rotate", file)
	require.Equal(t, exitDone, code, said)
	require.NotContains(t, said, "warning")
	require.Equal(t, 1, locks)
}

// On file systems without locks, carryon uses a lock file beside the ring.
func TestFileSystemWithoutLocks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EBADF, syscall.ENOLCK, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		file := newRing(t)
		lockedBy(t, func(int, int) error { return errno })
		code, _, said := call(time.Now(), "", "keys", "rotate", file)
		require.Equal(t, exitDone, code, said)
		require.Contains(t, said, "carryon: warning: cannot lock "+file+" ("+errno.Error()+"); using the lock file "+file+".lock\n")
		require.NoFileExists(t, file+".lock")

		// The lock file excludes others. The error says what to do if a crash
		// left it behind.
		u := &ui{err: t.Output()}
		unlock, err := u.lock(file, time.Now())
		require.NoError(t, err)
		_, err = u.lock(file, time.Now())
		require.EqualError(t, err, "another carryon process is changing "+file+"; if none is running, remove "+file+".lock")
		unlock()
		unlock, err = u.lock(file, time.Now())
		require.NoError(t, err)
		unlock()
	}
}

// A file that its owner cannot write can be locked, too.
func TestLockOfAFileThatCannotBeWritten(t *testing.T) {
	file := newRing(t)
	require.NoError(t, os.Chmod(file, 0o400))
	var said strings.Builder
	u := &ui{err: &said}
	unlock, err := u.lock(file, time.Now())
	require.NoError(t, err)
	_, err = u.lock(file, time.Now())
	require.ErrorContains(t, err, "another carryon process has been changing")
	unlock()
	require.Empty(t, said.String())
}

// Another process replaces the file after it was opened and before it is
// locked. The lock is then on a file that has no name any more.
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
	require.False(t, locked, "the lock must be on the file that has the name now")
	unlock()
}
