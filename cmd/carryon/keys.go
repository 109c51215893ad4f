package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// readRing reads the ring in the file, or on standard input if it is "-".
func (u *ui) readRing(file string) (*keyring.Ring, error) {
	if file == "-" {
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
	ctx := context.Background()
	keys, err := keyring.Open(ctx, keyring.File(file), keyring.OnReload(func(keyring.ReloadEvent) {}))
	if errors.Is(err, os.ErrNotExist) {
		return nil, hint(err, "make a ring with: carryon keys init %s", shellQuote(file))
	} else if err != nil {
		return nil, err
	}
	return keys.Ring(ctx), nil
}

// changeRing reads a ring, changes it and writes it: to the file, which it
// keeps locked meanwhile, or from standard input to standard output. A change
// that returns the ring it was given is not written to a file.
func (u *ui) changeRing(file string, change func(*keyring.Ring) (*keyring.Ring, error)) error {
	if file != "-" {
		return u.changeFile(file, change)
	}
	ring, err := u.readRing(file)
	if err != nil {
		return err
	}
	if ring, err = change(ring); err != nil {
		return err
	}
	return u.printRing(ring)
}

// printRing writes a ring, secrets and all, to standard output.
func (u *ui) printRing(ring *keyring.Ring) error {
	text, err := ring.Marshal()
	if err != nil {
		return err
	}
	if f, ok := u.out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			u.warn("standard output is a file that other users can get at; its mode should be 0600")
		}
	}
	_, err = u.out.Write(text)
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
