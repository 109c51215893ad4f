package main

import (
	"os"
	"strconv"
)

// usualWidth is used if the width of the output is unknown.
const usualWidth = 80

// width returns how many columns to print: the variable COLUMNS, or else the
// width of the terminal, if there is one.
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

// colors reports whether to print colors: on a terminal, unless NO_COLOR is set
// (no-color.org) or TERM is dumb.
func (u *ui) colors() bool {
	f, ok := u.out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, ok = terminal(f)
	return ok
}

// canAsk reports whether standard input is a terminal.
func (u *ui) canAsk() bool {
	f, ok := u.in.(*os.File)
	if !ok {
		return false
	}
	_, ok = terminal(f)
	return ok
}
