package main

import (
	"os"
	"strconv"
)

// usualWidth is that of a terminal that does not say.
const usualWidth = 80

// width returns how wide what is printed may be: as COLUMNS says, or the
// terminal, if there is one.
func (u *ui) width() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := u.out.(*os.File); ok {
		if n, ok := terminal(f); ok && n > 0 {
			return n
		}
	}
	return usualWidth
}

// colors reports whether to use some: on a terminal that has them, unless
// NO_COLOR is set (no-color.org).
func (u *ui) colors() bool {
	f, ok := u.out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, ok = terminal(f)
	return ok
}

// canAsk reports whether there is somebody to answer.
func (u *ui) canAsk() bool {
	f, ok := u.in.(*os.File)
	if !ok {
		return false
	}
	_, ok = terminal(f)
	return ok
}
