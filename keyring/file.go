package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// minStampAge is the minimum age of a change before an unchanged time stamp proves
// an unchanged file. A file system may count time in steps of up to two
// seconds (FAT), and a second write within one step leaves no trace.
const minStampAge = 3 * time.Second

// File is a ring in a file, the usual source. It refuses a file that its group
// or others can read or write, as ssh does, and anything that is not a regular
// file. Symbolic links are followed. File calls stat at most once a second
// ([ReloadEvery]). It reads the file again after a rewrite, after a rename,
// and after a change of a symbolic link on the path, as when Kubernetes
// updates a mounted secret. Permissions are not checked on Windows.
//
// In a container, mount the directory of the file, not the file itself (docker
// run -v FILE:FILE, a Kubernetes subPath). A mounted file stays the old one
// when a rotation replaces it. On Linux, [Open] warns about such a mount, and
// a reload fails once the old file was removed; see [OnReload].
func File(path string) Source { return file(path, 0o077) }

// DangerouslyGroupReadableFile is [File], but the group may read the file:
// every process in that group has the keys. Use it on Kubernetes, which mounts
// secrets with mode 0440 if the pod has an fsGroup.
func DangerouslyGroupReadableFile(path string) Source { return file(path, 0o037) }

func file(path string, forbidden fs.FileMode) Source {
	return Source{
		name:  "file " + printable(path),
		make:  "carryon keys init " + shellQuote(path),
		every: time.Second,
		read: func(_ context.Context, b bound) (sourceRead, error) {
			if b == wrapped {
				return readFile(path, forbidden&writable, b)
			}
			return readFile(path, forbidden, b)
		},
		fresh: func(last sourceRead) bool {
			info, err := os.Stat(path)
			return err == nil && last.sameFile(info)
		},
		mounted: func() bool { return isMountPoint(path) },
	}
}

// sameFile reports whether the file cannot have changed since it was read.
func (s sourceRead) sameFile(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() &&
		s.info.Mode() == info.Mode() && s.info.ModTime().Equal(info.ModTime()) &&
		s.at.Sub(info.ModTime()) > minStampAge && !isUnlinked(info)
}

// writable has the bits of a mode that let the group or others write. Anyone
// may read a wrapped ring, but not replace it.
const writable fs.FileMode = 0o022

func readFile(path string, forbidden fs.FileMode, b bound) (sourceRead, error) {
	// The file is checked before it is opened, because opening a pipe blocks
	// until its other end is open. It is checked again afterwards, because it
	// can be replaced in between.
	info, err := os.Stat(path)
	if err == nil {
		err = checkFile(path, info, forbidden)
	}
	if err != nil {
		return sourceRead{}, err
	}
	return readOpened(path, forbidden, b)
}

func readOpened(path string, forbidden fs.FileMode, b bound) (sourceRead, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) && inKubernetes(path) {
		return sourceRead{}, fmt.Errorf("%w; %s", withoutPath(err), kubernetesAdvice)
	}
	if err != nil {
		return sourceRead{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = checkFile(path, info, forbidden)
	}
	if err != nil {
		return sourceRead{}, err
	}
	text, err := readBounded(f, b)
	return sourceRead{text: text, info: info, replaced: isUnlinked(info) && isMountPoint(path)}, err
}

// kubernetesAdvice says how to set the mode of a mounted secret, which cannot
// be changed inside the pod.
const kubernetesAdvice = "if the program runs as root, set defaultMode: 0400 in the secret's volume; " +
	"if not, set defaultMode: 0440, fsGroup in the pod's securityContext, and use keyring.DangerouslyGroupReadableFile"

func checkFile(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	mode := info.Mode().Perm()
	if runtime.GOOS == "windows" || mode&forbidden == 0 {
		return nil
	}
	if forbidden&^writable == 0 {
		return fmt.Errorf("its mode is %#o, so other users can replace the keys; run: chmod go-w %s", mode, shellQuote(path))
	}
	advice := "run: chmod 600 " + shellQuote(path)
	if inKubernetes(path) {
		advice = kubernetesAdvice
	}
	return fmt.Errorf("its mode is %#o, so other users can read or change the keys; %s", mode, advice)
}

// inKubernetes reports whether the file looks like part of a volume that
// Kubernetes mounts. In such a volume a link named ..data, beside the file,
// leads to the directory with the files.
func inKubernetes(path string) bool {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return false
	}
	if strings.HasPrefix(filepath.Base(dir), "..") {
		dir = filepath.Dir(dir)
	}
	_, err = os.Readlink(filepath.Join(dir, "..data"))
	return err == nil
}

// shellQuote quotes a name so that a command in an error can be pasted into a
// shell. An unprintable name becomes FILE.
func shellQuote(s string) string {
	if printable(s) != s {
		return "FILE"
	}
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
