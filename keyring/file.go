package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"
)

// settled is how old a change must be before an unchanged time stamp proves
// an unchanged file: a file system may count time in steps of up to two
// seconds (FAT), and a second write within a step leaves no trace.
const settled = 3 * time.Second

// File is a ring in a file, the usual source. It refuses a file that group or
// others can read or write, as ssh does, and one that is not a regular file;
// symbolic links are followed. The file is looked at (stat) at most once a
// second ([ReloadEvery]), and read again if it was rewritten, replaced by a
// rename, or if a link on the way leads elsewhere, as when Kubernetes updates
// a mounted secret. On Windows permissions are not looked at.
func File(path string) Source { return file(path, 0o077) }

// DangerouslyGroupReadableFile is [File], but the group may read the file:
// every process that is in its group has the keys. It is for Kubernetes, which
// mounts secrets with mode 0440 where fsGroup is set.
func DangerouslyGroupReadableFile(path string) Source { return file(path, 0o037) }

func file(path string, forbidden fs.FileMode) Source {
	return Source{
		name:  "file " + path,
		every: time.Second,
		read: func(context.Context) (sourceRead, error) {
			return readFile(path, forbidden)
		},
		fresh: func(last sourceRead) bool {
			info, err := os.Stat(path)
			return err == nil && last.sameFile(info)
		},
	}
}

// sameFile reports whether the file certainly is as it was when it was read.
func (s sourceRead) sameFile(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() &&
		s.info.Mode() == info.Mode() && s.info.ModTime().Equal(info.ModTime()) &&
		s.at.Sub(info.ModTime()) > settled
}

func readFile(path string, forbidden fs.FileMode) (sourceRead, error) {
	// Looked at before it is opened, since opening a pipe waits for its other
	// end; and again after, since it can be replaced in between.
	info, err := os.Stat(path)
	if err == nil {
		err = checkFile(path, info, forbidden)
	}
	if err != nil {
		return sourceRead{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return sourceRead{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil {
		err = checkFile(path, info, forbidden)
	}
	if err != nil {
		return sourceRead{}, err
	}
	text, err := readBounded(f)
	return sourceRead{text: text, info: info}, err
}

func checkFile(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&forbidden != 0 {
		return fmt.Errorf("its mode is %#o, so other users can get at the keys; run: chmod 600 %s", mode, shellQuote(path))
	}
	return nil
}

// shellQuote makes the chmod in the error one that can be pasted.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+=,@", r)
	}
	if s != "" && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
