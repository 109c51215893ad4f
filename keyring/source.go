package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Source says where a ring comes from. Make one with [File], [Env], [FS] or
// [Func]; the zero Source is refused by [Open].
type Source struct {
	name  string                                    // for errors and events
	make  string                                    // the command that makes such a ring, or ""
	every time.Duration                             // default of ReloadEvery; negative: off
	read  func(context.Context) (sourceRead, error) // one look; at most MaxSize+1 bytes
	fresh func(last sourceRead) bool                // nil, or: certainly nothing changed since that look

	mounted func() bool // nil, or: a new file in its place would not be seen
}

// A sourceRead is what one look at a source saw.
type sourceRead struct {
	text   []byte
	info   fs.FileInfo // of a File, or nil
	orphan bool        // of a File: it was replaced, and still the old one is seen
	at     time.Time   // when, by the clock of the Keys
}

// String returns the kind and name of the source. A name with characters that
// do not print is quoted.
func (s Source) String() string { return s.name }

// printable quotes a name that could break a line of a log, or write to a
// terminal.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// advise adds to the error of Open how to make a ring where there is none.
func (s Source) advise(err error) error {
	if s.make != "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; make one with: %s", withoutPath(err), s.make)
	}
	return err
}

// withoutPath leaves out the path that an [fs.PathError] begins with, where the
// name of the source says it.
func withoutPath(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}

// Env is a ring in an environment variable of this process, for platforms
// that hand out secrets that way. It is read by [Open], and again only for an
// unknown key id ([Keys.Resolve]). Every process that this one starts inherits
// the variable, unless the program removes it.
func Env(name string) Source {
	const command = "carryon keys init -"
	return Source{name: "environment variable " + printable(name), make: command, every: -1, read: func(context.Context) (sourceRead, error) {
		text, ok := os.LookupEnv(name)
		if !ok || text == "" {
			return sourceRead{}, unsetError(name)
		}
		return sourceRead{text: []byte(text)}, nil
	}}
}

// An unsetError is the name of an environment variable that is empty or not set.
type unsetError string

func (e unsetError) Error() string {
	return "the environment variable " + printable(string(e)) + " is not set"
}

func (e unsetError) Is(target error) bool { return target == fs.ErrNotExist }

// FS is a ring in a file of a file system, read again at most once a minute
// ([ReloadEvery]). It does not look at permissions: for a file on disk [File]
// is the safer choice. Never embed a ring in a program: anyone who has the
// program has the keys.
func FS(fsys fs.FS, name string) Source {
	return Source{name: "file " + printable(name), every: time.Minute, read: func(context.Context) (sourceRead, error) {
		f, err := fsys.Open(name)
		if err != nil {
			return sourceRead{}, err
		}
		defer f.Close()
		text, err := readBounded(f)
		return sourceRead{text: text}, err
	}}
}

// Func is a ring that a function fetches, for example from a secret manager.
// It is called by [Open] and then at most once a minute ([ReloadEvery]), and
// for an unknown key id ([Keys.Resolve]), never twice at a time. It should
// heed its context, which ends after [ReloadTimeout]; if it does not, it is
// left behind in its goroutine and not called again until it has returned.
func Func(fetch func(ctx context.Context) ([]byte, error)) Source {
	if fetch == nil {
		return Source{}
	}
	return Source{name: "function", every: time.Minute, read: func(ctx context.Context) (sourceRead, error) {
		text, err := fetch(ctx)
		return sourceRead{text: text}, err
	}}
}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err == nil && len(text) > MaxSize {
		err = fmt.Errorf("it is larger than %d bytes", MaxSize)
	}
	return text, err
}

// readSafely turns a panic of the source into an error: it runs in a goroutine
// of ours, where a panic would end the program.
func (s Source) readSafely(ctx context.Context) (got sourceRead, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the source panicked")
		}
	}()
	return s.read(ctx)
}
