//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package main

import "time"

// lock locks a file against other carryon processes. The standard library has
// no flock for these systems.
func (u *ui) lock(file string, deadline time.Time) (unlock func(), err error) {
	return lockBeside(file, deadline)
}
