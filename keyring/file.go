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
//
// Mount the directory of the file into a container, not the file itself (docker
// run -v FILE:FILE, a Kubernetes subPath): such a mount stays with the old file
// when a rotation puts a new one in its place. On Linux, [Open] warns of such a
// mount, and a look that finds the old file removed is one that failed; see
// [OnReload].
func File(path string) Source { return file(path, 0o077) }

// DangerouslyGroupReadableFile is [File], but the group may read the file:
// every process that is in its group has the keys. It is for Kubernetes, which
// mounts secrets with mode 0440 where the pod has an fsGroup.
func DangerouslyGroupReadableFile(path string) Source { return file(path, 0o037) }

func file(path string, forbidden fs.FileMode) Source {
	return Source{
		name:  "file " + printable(path),
		make:  "carryon keys init " + shellQuote(path),
		every: time.Second,
		read: func(context.Context) (sourceRead, error) {
			return readFile(path, forbidden)
		},
		fresh: func(last sourceRead) bool {
			info, err := os.Stat(path)
			return err == nil && last.sameFile(info)
		},
		mounted: func() bool { return isMountPoint(path) },
	}
}

// sameFile reports whether the file certainly is as it was when it was read.
func (s sourceRead) sameFile(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() &&
		s.info.Mode() == info.Mode() && s.info.ModTime().Equal(info.ModTime()) &&
		s.at.Sub(info.ModTime()) > settled && !isUnlinked(info)
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
	return readOpened(path, forbidden)
}

func readOpened(path string, forbidden fs.FileMode) (sourceRead, error) {
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
	text, err := readBounded(f)
	return sourceRead{text: text, info: info, orphan: isUnlinked(info) && isMountPoint(path)}, err
}

// kubernetesAdvice is what to do about the mode of a mounted secret, which
// nobody can change in the pod.
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
	advice := "run: chmod 600 " + shellQuote(path)
	if inKubernetes(path) {
		advice = kubernetesAdvice
	}
	return fmt.Errorf("its mode is %#o, so other users can get at the keys; %s", mode, advice)
}

// inKubernetes reports whether the file looks like one of a volume that
// Kubernetes mounts: beside it is a link named ..data, which leads to the
// directory with the files.
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

// shellQuote makes the commands in errors ones that can be pasted. A name that
// does not print is left to the reader.
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
