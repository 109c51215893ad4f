package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// lockBeside keeps other carryons from changing a file, by a file beside it.
// Unlike another lock it outlives a carryon that crashes.
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
			return nil, fmt.Errorf("another carryon is changing %s; if none runs, remove %s", file, name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
