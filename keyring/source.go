package keyring

import (
	"context"
	"crypto/sha256"
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

// A Source is where a ring comes from. Create one with [File], [Env], [FS],
// [Func] or [Wrapped]. [Open] refuses the zero Source.
type Source struct {
	name  string                                                 // for errors and events
	make  string                                                 // command that creates such a ring, or ""
	every time.Duration                                          // default of ReloadEvery; negative: never
	read  func(ctx context.Context, b bound) (sourceRead, error) // reads at most b+1 bytes
	fresh func(last sourceRead) bool                             // nil, or reports whether nothing can have changed since the last read

	mounted func() bool // nil, or reports whether a replaced file would go unnoticed
	unwrap  unwrapFunc  // only for Wrapped
}

// A bound is the maximum size of what a source reads: plain or wrapped.
type bound int

const (
	plain   bound = MaxSize
	wrapped bound = MaxWrapped
)

// bound returns the maximum size of the text in the source.
func (s Source) bound() bound {
	if s.unwrap != nil {
		return wrapped
	}
	return plain
}

// A sourceRead is the result of one read of a source.
type sourceRead struct {
	text     []byte
	info     fs.FileInfo // only for File
	replaced bool        // only for File: the file was replaced, but this process still sees the old one
	at       time.Time   // time of the read, by the clock of the Keys
}

// String returns the kind and name of the source. A name with unprintable
// characters is quoted.
func (s Source) String() string { return s.name }

// printable quotes a name that could break a log line or send control
// characters to a terminal.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// advise adds the command that creates a ring to the error of a missing one.
func (s Source) advise(err error) error {
	if s.make != "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; make one with: %s", withoutPath(err), s.make)
	}
	return err
}

// withoutPath removes the path from an [fs.PathError], because the name of the
// source already contains it.
func withoutPath(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}

// Env is a ring in an environment variable of this process, for platforms that
// provide secrets that way. [Open] reads the variable, and [Keys.Resolve]
// reads it again for an unknown key id. Every child process inherits the
// variable unless the program removes it.
func Env(name string) Source {
	const command = "carryon keys init -"
	return Source{name: "environment variable " + printable(name), make: command, every: -1, read: func(_ context.Context, b bound) (sourceRead, error) {
		text, ok := os.LookupEnv(name)
		if !ok || text == "" {
			return sourceRead{}, unsetError(name)
		}
		return sourceRead{text: []byte(text)}, b.check(len(text))
	}}
}

// An unsetError is the name of an environment variable that is unset or empty.
type unsetError string

func (e unsetError) Error() string {
	return "the environment variable " + printable(string(e)) + " is not set"
}

func (e unsetError) Is(target error) bool { return target == fs.ErrNotExist }

// FS is a ring in a file of a file system. The file is read at most once a
// minute ([ReloadEvery]). FS does not check permissions, so [File] is safer
// for a file on disk. Never embed a ring in a program, because anyone who has
// the program then has the keys.
func FS(fsys fs.FS, name string) Source {
	return Source{name: "file " + printable(name), every: time.Minute, read: func(_ context.Context, b bound) (sourceRead, error) {
		f, err := fsys.Open(name)
		if err != nil {
			return sourceRead{}, err
		}
		defer f.Close()
		text, err := readBounded(f, b)
		return sourceRead{text: text}, err
	}}
}

// Func is a ring that a function fetches, for example from a secret manager.
// [Open] calls fetch once; after that it is called at most once a minute
// ([ReloadEvery]) and for unknown key ids ([Keys.Resolve]), never twice at a
// time. fetch should respect its context, which ends after [ReloadTimeout]. If
// it does not, its goroutine is abandoned, and fetch is not called again until
// it has returned.
func Func(fetch func(ctx context.Context) ([]byte, error)) Source {
	if fetch == nil {
		return Source{}
	}
	return Source{name: "function", every: time.Minute, read: func(ctx context.Context, b bound) (sourceRead, error) {
		text, err := fetch(ctx)
		if err == nil {
			err = b.check(len(text))
		}
		return sourceRead{text: text}, err
	}}
}

func readBounded(r io.Reader, b bound) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(b)+1))
	if err == nil {
		err = b.check(len(text))
	}
	return text, err
}

func (b bound) check(size int) error {
	if size > int(b) {
		return fmt.Errorf("it is larger than %d bytes", b)
	}
	return nil
}

// fetch reads the source, and unwraps the text if it is new: sum is the hash of
// the text that is in use. So a service that unwraps is called once for each
// version of the ring, and may be down in between.
func (s Source) fetch(ctx context.Context, sum [sha256.Size]byte) outcome {
	got, err := s.readSafely(ctx)
	if err != nil {
		return outcome{err: err}
	}
	out := outcome{sourceRead: got, sum: sha256.Sum256(got.text)}
	if s.unwrap != nil && out.sum != sum {
		out.text, out.err = s.unwrap.safely(ctx, got.text)
	}
	return out
}

// readSafely turns a panic of the source into an error, because the read runs
// in a goroutine where a panic would end the program.
func (s Source) readSafely(ctx context.Context) (got sourceRead, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the source panicked")
		}
	}()
	return s.read(ctx, s.bound())
}
