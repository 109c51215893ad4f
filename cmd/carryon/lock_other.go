//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// lock keeps other carryons from changing a file, by a file beside it: these
// systems have no flock in the standard library.
func lock(file string, deadline time.Time) (unlock func(), err error) {
	name := file + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			f.Close()
			return func() { os.Remove(name) }, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another carryon is changing %s; if none runs, remove %s", file, name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
