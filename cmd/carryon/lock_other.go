//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package main

import "time"

// lock keeps other carryons from changing a file. These systems have no flock
// in the standard library.
func (u *ui) lock(file string, deadline time.Time) (unlock func(), err error) {
	return lockBeside(file, deadline)
}
