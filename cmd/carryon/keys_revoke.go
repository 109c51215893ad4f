package main

import (
	"github.com/carryon-go/carryon/keyring"
)

// keysRevoke kills a key that leaked.
func keysRevoke(u *ui, args []string) error {
	rest, err := u.parse(u.flags(), args, 2)
	if err != nil {
		return err
	}
	id, err := keyring.ParseID(rest[0])
	if err != nil {
		return usageError{err}
	}
	var change keyring.Change
	err = u.changeRing(rest[1], func(ring *keyring.Ring) (next *keyring.Ring, err error) {
		next, change, err = ring.Revoke(id, u.now())
		return next, err
	})
	if err != nil {
		return hint(err, "to see the keys run: carryon keys list %s", shellQuote(rest[1]))
	}
	u.note("revoked key %v; what it sealed is void wherever the ring is in use", id)
	if k := change.Added; k != nil {
		u.note("added key %v in its place, which is active", k.ID())
	}
	if k := change.Promoted; k != nil {
		u.note("key %v, which was staged, is active now", k.ID())
	}
	u.reportGone(change)
	return nil
}
