package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// lockBeside locks a file by creating a lock file beside it. Unlike flock, the
// lock remains if the process crashes.
func lockBeside(file string, deadline time.Time) (unlock func(), err error) {
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
			return nil, fmt.Errorf("another carryon process is changing %s; if none is running, remove %s", file, name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
