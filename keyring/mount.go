package keyring

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

var (
	errMountPoint = errors.New("the file itself is a mount point, so this program will not see a file that replaces it; mount the directory instead")
	errOrphan     = errors.New("the file was replaced or removed, but it is a mount point, so this program still sees the old one; mount the directory instead, and restart the program")
)

// warn returns why later changes to the ring will go unnoticed, or nil.
func (s Source) warn(first sourceRead) error {
	switch {
	case first.replaced:
		return errOrphan
	case s.mounted != nil && s.mounted():
		return errMountPoint
	}
	return nil
}

// isMountPoint reports whether the file itself, not a directory above it, is a
// mount point. It always returns false on systems other than Linux.
func isMountPoint(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return false
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	defer f.Close()
	return listsMountPoint(f, path)
}

// listsMountPoint reports whether the fifth column of a mountinfo file
// (proc_pid_mountinfo(5)) contains the path. The scan stops at a line over 1
// MiB.
func listsMountPoint(mountinfo io.Reader, path string) bool {
	lines := bufio.NewScanner(mountinfo)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if columns := strings.Fields(lines.Text()); len(columns) > 4 && unescapeMount.Replace(columns[4]) == path {
			return true
		}
	}
	return false
}

// unescapeMount reverses the kernel's escaping of white space and backslashes
// in paths.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
