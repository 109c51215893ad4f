//go:build unix

package keyring

import (
	"io/fs"
	"syscall"
)

// isUnlinked reports whether no name leads to the file any more.
func isUnlinked(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}
