package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// lockTimeout is how long a process waits for another process to release the lock
// of a file.
var lockTimeout = 10 * time.Second

// changeFile replaces the ring in a file by the result of change. Servers see
// either the old file or the new one, complete. Concurrent changes run one
// after another. For a symbolic link, its target is replaced.
func (u *ui) changeFile(file string, change func(*keyring.Ring) (*keyring.Ring, error)) error {
	target, err := filepath.EvalSymlinks(file)
	if errors.Is(err, os.ErrNotExist) {
		_, err = u.readRing(file) // its error says how to create a ring
	}
	if err != nil {
		return err
	}
	unlock, err := u.lock(target, time.Now().Add(lockTimeout))
	if err != nil {
		return err
	}
	defer unlock()
	ring, err := u.readRing(target)
	if err != nil {
		return err
	}
	next, err := change(ring)
	if err != nil || next == ring {
		return err
	}
	text, err := u.encode(next)
	if err != nil {
		return err
	}
	return replaceFile(target, text)
}

// replaceFile writes a new file beside the old one, with the same mode and
// owner, syncs it and renames it over the old one. The caller must hold the
// lock of the file.
func replaceFile(file string, text []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	removeTempFiles(file)
	// CreateTemp creates the file with mode 0600 and O_EXCL.
	temp, err := os.CreateTemp(filepath.Dir(file), tempPrefix(file))
	if err != nil {
		return err
	}
	err = copyModeAndOwner(temp, info)
	if err = errors.Join(err, writeAndClose(temp, text)); err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		os.Remove(temp.Name())
		err = fmt.Errorf("%s was not changed: %w", file, err)
		if errors.Is(err, syscall.EBUSY) {
			return hint(err, "a file that is a mount point cannot be replaced; mount its directory instead")
		}
		return err
	}
	return syncDir(filepath.Dir(file))
}

// tempPrefix returns the start of the temporary file's name. A process that is
// killed while it writes leaves this file behind, with the secrets.
func tempPrefix(file string) string { return "." + filepath.Base(file) + ".tmp-" }

// removeTempFiles removes temporary files of processes that were killed. The
// caller holds the lock, so no other process is writing one.
func removeTempFiles(file string) {
	dir, begin := filepath.Dir(file), tempPrefix(file)
	names, err := os.ReadDir(dir)
	if err != nil {
		return // old temporary files do no harm
	}
	for _, e := range names {
		if digits, ok := strings.CutPrefix(e.Name(), begin); ok && e.Type().IsRegular() && strings.Trim(digits, "0123456789") == "" {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// copyModeAndOwner gives an empty file the owner and mode of another.
func copyModeAndOwner(f *os.File, like fs.FileInfo) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return errors.Join(keepOwner(f, like), f.Chmod(like.Mode().Perm()))
}

// writeAndClose returns after the text is on disk.
func writeAndClose(f *os.File, text []byte) error {
	_, err := f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir syncs a directory after a file in it was created or renamed. Windows
// cannot do that.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// shellQuote quotes a file name for a command that users paste into a shell.
func shellQuote(s string) string {
	if s != "" && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	if strings.HasPrefix(s, "-") && s != "-" {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+=,@", r)
}
