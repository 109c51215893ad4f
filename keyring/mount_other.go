//go:build !unix

package keyring

import "io/fs"

func isUnlinked(fs.FileInfo) bool { return false }
