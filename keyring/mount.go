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
	errMountPoint = errors.New("the file is itself a mount point, so this program will not see a new file that is put in its place; mount the directory instead")
	errOrphan     = errors.New("the file was replaced or removed, but it is itself a mount point, so this program still sees the old one; mount the directory instead, and restart the program")
)

// warn returns why changes of the ring will not be seen, or nil.
func (s Source) warn(first sourceRead) error {
	switch {
	case first.orphan:
		return errOrphan
	case s.mounted != nil && s.mounted():
		return errMountPoint
	}
	return nil
}

// isMountPoint reports whether the file itself is mounted, by itself, as far as
// the system tells. Only Linux does.
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

// listsMountPoint looks for a path in the fifth column of a mountinfo file
// (proc_pid_mountinfo(5)). Lines too long for the reader are not ours.
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

// unescapeMount undoes how the kernel writes spaces in paths, and what could be
// taken for one.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
