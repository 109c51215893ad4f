package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// stdio stands for standard input and standard output.
const stdio = "-"

// A place says where to read a ring from and where to write it: a file, or "-".
// A ring can also be read from an environment variable, env:NAME.
type place struct{ from, to string }

// flags adds --from and --to to a flag set.
func (p *place) flags(set *flag.FlagSet) {
	set.StringVar(&p.from, "from", "", "read the key ring from `PLACE` instead of FILE: a file, - or env:NAME")
	set.StringVar(&p.to, "to", "", "write the key ring to `PLACE` instead of FILE: a file or -")
}

// named takes the FILE from the arguments, and checks the places.
func (p *place) named(command string, rest []string) error {
	switch {
	case len(rest) == 1 && p.from == "":
		p.from = rest[0]
	case len(rest) != 0 || p.from == "":
		return usageError{fmt.Errorf("%q takes one FILE, or --from and --to", "carryon "+command)}
	}
	if p.to == "" {
		p.to = p.from
	}
	if strings.HasPrefix(p.to, envPrefix) {
		return usageError{errors.New("carryon cannot write an environment variable; add --to with a file or -")}
	}
	return nil
}

const envPrefix = "env:"

// inPlace reports whether both places are the same file, even by different
// names.
func (p place) inPlace() bool {
	if p.from == stdio || strings.HasPrefix(p.from, envPrefix) {
		return false
	}
	a, errA := os.Stat(p.from)
	b, errB := os.Stat(p.to)
	return p.from == p.to || errA == nil && errB == nil && os.SameFile(a, b)
}

// readRing reads a ring from a file, from standard input ("-") or from an
// environment variable (env:NAME).
func (u *ui) readRing(file string) (*keyring.Ring, error) {
	if file == stdio {
		return u.readStdin()
	}
	source := keyring.File(file)
	if name, ok := strings.CutPrefix(file, envPrefix); ok {
		source = keyring.Env(name)
	}
	if u.unwrap != "" {
		source = keyring.Wrapped(source, u.unwrapText)
	}
	ctx := context.Background()
	keys, err := keyring.Open(ctx, source, keyring.OnReload(func(keyring.ReloadEvent) {}))
	if err != nil {
		return nil, err
	}
	return keys.Ring(ctx), nil
}

// readStdin reads a ring from standard input, which must be encrypted if and only
// if there is --unwrap.
func (u *ui) readStdin() (*keyring.Ring, error) {
	text, err := io.ReadAll(io.LimitReader(u.in, keyring.MaxWrapped+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read standard input: %w", err)
	case u.unwrap == "":
	case len(text) > keyring.MaxWrapped:
		return nil, fmt.Errorf("standard input is larger than %d bytes", keyring.MaxWrapped)
	case isPlain(text):
		return nil, errors.New("the ring on standard input is not encrypted")
	default:
		text, err = u.unwrapText(context.Background(), text)
	}
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w (on standard input)", err)
	}
	return ring, nil
}

func isPlain(text []byte) bool {
	_, err := keyring.Parse(text)
	return err == nil
}

// changeRing reads a ring, changes it and writes the result. A ring that is
// changed in place is locked meanwhile, and is not written if change returns
// the ring that it got. Standard output always receives a ring: if change
// fails, the old one. So a pipeline that stores the output never stores
// nothing.
func (u *ui) changeRing(p place, change func(*keyring.Ring) (*keyring.Ring, error)) error {
	if p.inPlace() {
		return u.changeFile(p.from, change)
	}
	ring, err := u.readRing(p.from)
	if err != nil {
		return err
	}
	next, err := change(ring)
	switch {
	case p.to == stdio:
		return u.printNext(ring, next, err)
	case err != nil:
		return err
	}
	return u.storeRing(p.to, next)
}

// printNext prints the next ring, or the old one after an error.
func (u *ui) printNext(ring, next *keyring.Ring, err error) error {
	if err == nil && next != ring {
		var text []byte
		if text, err = u.encode(next); err == nil {
			return u.print(text)
		}
	}
	if u.unwrap != "" {
		return errors.Join(err, u.print(u.stored))
	}
	text, failed := ring.Marshal()
	if failed != nil {
		return errors.Join(err, failed)
	}
	return errors.Join(err, u.print(text))
}

// storeRing writes a ring to another file than it was read from. It refuses to
// replace a ring if the new one lacks a usable key of it, or contains a key
// that is revoked or expired there.
func (u *ui) storeRing(file string, ring *keyring.Ring) error {
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		return u.createRing(file, ring)
	}
	return u.changeFile(file, func(old *keyring.Ring) (*keyring.Ring, error) {
		if err := checkSuccessor(old, ring, u.now()); err != nil {
			return nil, fmt.Errorf("%s was not changed: %w", file, err)
		}
		if old.Fingerprint() == ring.Fingerprint() {
			return old, nil
		}
		return ring, nil
	})
}

// checkSuccessor returns an error if next cannot be a later version of old.
func checkSuccessor(old, next *keyring.Ring, now time.Time) error {
	for _, k := range old.Keys() {
		_, state := next.Find(k.ID(), now)
		if k.State(now).Opens() && state == keyring.Unknown {
			return fmt.Errorf("its key %v is missing in the new ring; check that the new ring is a later version of this one", k.ID())
		}
	}
	for _, d := range old.Dead() {
		if k, _ := next.Find(d.ID, now); k != nil {
			return fmt.Errorf("its key %v is %v there and would be usable again", d.ID, d.State)
		}
	}
	return nil
}

// printRing writes a ring to standard output, with its secrets unless it is
// wrapped.
func (u *ui) printRing(ring *keyring.Ring) error {
	text, err := u.encode(ring)
	if err != nil {
		return err
	}
	return u.print(text)
}

// print writes a ring, as it is stored, to standard output.
func (u *ui) print(text []byte) error {
	if u.wrap == "" {
		return u.printSecret(text)
	}
	_, err := u.out.Write(text)
	return err
}

// printSecret writes to standard output. It warns if that is a file which other
// users can read.
func (u *ui) printSecret(text []byte) error {
	if f, ok := u.out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			u.warn("other users can access the file that is standard output; set its mode to 0600")
		}
	}
	_, err := u.out.Write(text)
	return err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// reportRemoved reports which keys were removed from the ring.
func (u *ui) reportRemoved(c keyring.Change) {
	var ids []string
	for _, d := range c.Died {
		if d.State == keyring.Expired {
			ids = append(ids, d.ID.String())
		}
	}
	if len(ids) > 0 {
		u.note("removed %s that had expired: %s", count(len(ids), "key"), strings.Join(ids, ", "))
	}
	if len(c.Forgot) > 0 {
		u.note("removed %s of keys whose cookies have all expired", count(len(c.Forgot), "id"))
	}
}
