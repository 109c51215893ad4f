package main

import (
	"cmp"

	"github.com/carryon-go/carryon/keyring"
)

// keysPrune removes expired keys. Rotating does so, too.
func keysPrune(u *ui, args []string) error {
	var p place
	set := u.flags()
	p.flags(set)
	u.wrapFlags(set)
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if err := cmp.Or(p.named(u.command.name, rest), u.checkWrapFlags()); err != nil {
		return err
	}
	var change keyring.Change
	err = u.changeRing(p, func(ring *keyring.Ring) (*keyring.Ring, error) {
		next, c, err := ring.Prune(u.now())
		change = c
		if len(c.Died)+len(c.Forgot) == 0 {
			return ring, err
		}
		return next, err
	})
	if err != nil {
		return err
	}
	if len(change.Died)+len(change.Forgot) == 0 {
		u.note("no key has expired; nothing to remove")
	}
	u.reportRemoved(change)
	return nil
}
