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

// patience is how long one carryon waits for another to finish with a file.
var patience = 10 * time.Second

// changeFile replaces the ring in a file by what change makes of it. Servers
// see the old file or the new one, never a part; two changes at once are made
// one after the other. A symbolic link stays one: its target is replaced.
func (u *ui) changeFile(file string, change func(*keyring.Ring) (*keyring.Ring, error)) error {
	target, err := filepath.EvalSymlinks(file)
	if errors.Is(err, os.ErrNotExist) {
		_, err = u.readRing(file) // says how to make one, too
	}
	if err != nil {
		return err
	}
	unlock, err := u.lock(target, time.Now().Add(patience))
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
	text, err := next.Marshal()
	if err != nil {
		return err
	}
	return replaceFile(target, text)
}

// replaceFile writes a new file beside the old one, with its mode and owner,
// and renames it over the old one once it is safe on disk. The caller has the
// lock of the file.
func replaceFile(file string, text []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	removeLeftovers(file)
	// CreateTemp makes it with mode 0600 and O_EXCL.
	temp, err := os.CreateTemp(filepath.Dir(file), leftover(file))
	if err != nil {
		return err
	}
	err = dress(temp, info)
	if err = errors.Join(err, writeAndClose(temp, text)); err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		os.Remove(temp.Name())
		err = fmt.Errorf("%s is as it was: %w", file, err)
		if errors.Is(err, syscall.EBUSY) {
			return hint(err, "a file that is itself mounted cannot be replaced; mount its directory")
		}
		return err
	}
	return syncDir(filepath.Dir(file))
}

// leftover begins the name of the new file while it is written. It stays
// behind, secrets and all, if carryon is killed just then.
func leftover(file string) string { return "." + filepath.Base(file) + ".tmp-" }

// removeLeftovers removes what carryons that were killed left behind. Since the
// caller has the lock, no other is writing.
func removeLeftovers(file string) {
	dir, begin := filepath.Dir(file), leftover(file)
	names, err := os.ReadDir(dir)
	if err != nil {
		return // there is nothing to lose by going on
	}
	for _, e := range names {
		if digits, ok := strings.CutPrefix(e.Name(), begin); ok && e.Type().IsRegular() && strings.Trim(digits, "0123456789") == "" {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// dress gives a file, while it is still empty, the owner and mode of another.
func dress(f *os.File, like fs.FileInfo) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return errors.Join(keepOwner(f, like), f.Chmod(like.Mode().Perm()))
}

// writeAndClose returns only when the text is on disk.
func writeAndClose(f *os.File, text []byte) error {
	_, err := f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir puts a name that was made or renamed on disk. On Windows there is
// no way to ask for that.
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

// shellQuote makes a command in a hint one that can be pasted.
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
