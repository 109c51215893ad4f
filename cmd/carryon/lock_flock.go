//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// flock is a variable so that tests can replace it.
var flock = syscall.Flock

// lock locks a file against other carryon processes. Each change replaces the
// file, so after locking it checks that the name still refers to the locked
// file, and tries again if not. If the file system has no locks, it creates a
// lock file.
func (u *ui) lock(file string, deadline time.Time) (unlock func(), err error) {
	for {
		f, locked, err := tryLock(file)
		if errno := syscall.Errno(0); errors.As(err, &errno) && errors.Is(err, errCannotLock) {
			u.warn("cannot lock %s (%v); using the lock file %s.lock", file, errno, file)
			return lockBeside(file, deadline)
		}
		if err != nil {
			return nil, err
		}
		if locked {
			return func() { f.Close() }, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another carryon process has been changing %s for %v; try again", file, lockTimeout)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var errCannotLock = errors.New("cannot lock")

func tryLock(file string) (*os.File, bool, error) {
	f, err := openToLock(file)
	if err != nil {
		return nil, false, err
	}
	err = flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && leadsTo(file, f) {
		return f, true, nil
	}
	f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("%w %s: %w", errCannotLock, file, err)
}

// openToLock opens a file for writing, because NFS implements flock by fcntl,
// whose exclusive locks need a writable file. A read-only file can still be
// replaced, so openToLock then opens it for reading: other file systems accept
// that. O_NONBLOCK keeps a named pipe from blocking; changeRing refuses it
// later.
func openToLock(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	return f, err
}

func leadsTo(file string, f *os.File) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(file)
	return errA == nil && errB == nil && os.SameFile(a, b)
}
