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

// stdio is the name of standard input, and of standard output.
const stdio = "-"

// A place says where a ring comes from and where it goes to: a file, or "-".
// It can also come from a variable, env:NAME.
type place struct{ from, to string }

// flags adds --from and --to to a set.
func (p *place) flags(set *flag.FlagSet) {
	set.StringVar(&p.from, "from", "", "read the ring from `PLACE` instead of FILE: a file, - or env:NAME")
	set.StringVar(&p.to, "to", "", "write the ring to `PLACE` instead of FILE: a file, or -")
}

// named fills in what FILE stands for, if it was given.
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
		return usageError{errors.New("a variable cannot be written; add --to with a file or -")}
	}
	return nil
}

const envPrefix = "env:"

// inPlace reports whether the ring goes back to the file that it came from, by
// whatever name.
func (p place) inPlace() bool {
	if p.from == stdio || strings.HasPrefix(p.from, envPrefix) {
		return false
	}
	a, errA := os.Stat(p.from)
	b, errB := os.Stat(p.to)
	return p.from == p.to || errA == nil && errB == nil && os.SameFile(a, b)
}

// readRing reads the ring in the file, on standard input if it is "-", or in the
// variable NAME if it is env:NAME.
func (u *ui) readRing(file string) (*keyring.Ring, error) {
	if file == stdio {
		text, err := io.ReadAll(io.LimitReader(u.in, keyring.MaxSize+1))
		if err != nil {
			return nil, fmt.Errorf("cannot read standard input: %w", err)
		}
		ring, err := keyring.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w (on standard input)", err)
		}
		return ring, nil
	}
	source := keyring.File(file)
	if name, ok := strings.CutPrefix(file, envPrefix); ok {
		source = keyring.Env(name)
	}
	ctx := context.Background()
	keys, err := keyring.Open(ctx, source, keyring.OnReload(func(keyring.ReloadEvent) {}))
	if err != nil {
		return nil, err
	}
	return keys.Ring(ctx), nil
}

// changeRing reads a ring, changes it and writes it. A file that it both reads
// and writes is locked meanwhile, and is not written if change returns the ring
// that it was given. Standard output gets a ring in any case that has one: the
// old one where the change is refused, so that whatever stores the output of a
// pipe never stores nothing.
func (u *ui) changeRing(p place, change func(*keyring.Ring) (*keyring.Ring, error)) error {
	if p.inPlace() {
		return u.changeFile(p.from, change)
	}
	ring, err := u.readRing(p.from)
	if err != nil {
		return err
	}
	next, err := change(ring)
	if err != nil {
		next = ring
	}
	switch {
	case p.to == stdio:
		return errors.Join(err, u.printRing(next))
	case err != nil:
		return err
	}
	return u.storeRing(p.to, next)
}

// storeRing writes a ring to another file than it came from. If there is one in
// that file, no key of it may be gone then, and none come back from the dead.
func (u *ui) storeRing(file string, ring *keyring.Ring) error {
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		return createRing(file, ring)
	}
	return u.changeFile(file, func(old *keyring.Ring) (*keyring.Ring, error) {
		if err := sameLine(old, ring, u.now()); err != nil {
			return nil, fmt.Errorf("%s is as it was: %w", file, err)
		}
		if old.Fingerprint() == ring.Fingerprint() {
			return old, nil
		}
		return ring, nil
	})
}

// sameLine says why a ring cannot be a later one of the same servers.
func sameLine(old, next *keyring.Ring, now time.Time) error {
	for _, k := range old.Keys() {
		_, state := next.Find(k.ID(), now)
		if k.State(now).Opens() && state == keyring.Unknown {
			return fmt.Errorf("its key %v would be gone; is it another ring?", k.ID())
		}
	}
	for _, d := range old.Dead() {
		if k, _ := next.Find(d.ID, now); k != nil {
			return fmt.Errorf("its key %v is %v and would come back", d.ID, d.State)
		}
	}
	return nil
}

// printRing writes a ring, secrets and all, to standard output.
func (u *ui) printRing(ring *keyring.Ring) error {
	text, err := ring.Marshal()
	if err != nil {
		return err
	}
	return u.printSecret(text)
}

// printSecret writes to standard output, with a warning if others can read it.
func (u *ui) printSecret(text []byte) error {
	if f, ok := u.out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			u.warn("standard output is a file that other users can get at; its mode should be 0600")
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

// reportGone says which keys left the ring.
func (u *ui) reportGone(c keyring.Change) {
	var ids []string
	for _, d := range c.Died {
		if d.State == keyring.Expired {
			ids = append(ids, d.ID.String())
		}
	}
	if len(ids) > 0 {
		u.note("removed %s that expired: %s", count(len(ids), "key"), strings.Join(ids, ", "))
	}
	if len(c.Forgot) > 0 {
		u.note("forgot the %s that died long ago", count(len(c.Forgot), "id"))
	}
}
