//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// flock is replaced by tests: a file system may not have it.
var flock = syscall.Flock

// lock keeps other carryons from changing a file. The lock is on the file
// itself, which each change replaces: the caller that gets it checks that the
// name still leads there, and otherwise starts over. Where the file system has
// no such locks, a file beside it is the lock.
func (u *ui) lock(file string, deadline time.Time) (unlock func(), err error) {
	for {
		f, locked, err := tryLock(file)
		if errno := syscall.Errno(0); errors.As(err, &errno) && errors.Is(err, errCannotLock) {
			u.warn("cannot lock %s (%v), so %s.lock is the lock", file, errno, file)
			return lockBeside(file, deadline)
		}
		if err != nil {
			return nil, err
		}
		if locked {
			return func() { f.Close() }, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another carryon has been changing %s for %v; try again", file, patience)
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

// openToLock opens a file for writing, since NFS makes such a lock one of
// fcntl, which wants that. A file of mode 0400 can be replaced all the same, so
// it is opened for reading, which is enough on other file systems. A pipe does
// not make it wait for the other end; it is refused later.
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
