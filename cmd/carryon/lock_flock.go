//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lock keeps other carryons from changing a file. The lock is on the file
// itself, which is replaced by each change: so whoever gets it looks whether
// the name still leads there, and otherwise begins anew.
func lock(file string, deadline time.Time) (unlock func(), err error) {
	for {
		f, locked, err := tryLock(file)
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

func tryLock(file string) (*os.File, bool, error) {
	// Not to wait for the other end, should it be a pipe; it is refused later.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && leadsTo(file, f) {
		return f, true, nil
	}
	f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("cannot lock %s: %w", file, err)
}

func leadsTo(file string, f *os.File) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(file)
	return errA == nil && errB == nil && os.SameFile(a, b)
}
