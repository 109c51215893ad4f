package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// A revocation is one run of the command.
type revocation struct {
	place
	id          keyring.ID
	ask         bool
	fingerprint string // fingerprint of the ring whose costs were printed
	dead        keyring.State
	change      keyring.Change
}

// keysRevoke revokes a key that leaked.
func keysRevoke(u *ui, args []string) error {
	var r revocation
	set := u.flags()
	r.flags(set)
	yes := set.Bool("yes", false, "do not ask for confirmation; for scripts")
	u.wrapFlags(set)
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if err := cmp.Or(r.arguments(u.command.name, rest), u.checkWrapFlags()); err != nil {
		return err
	}
	r.ask = !*yes
	if r.ask && r.inPlace() { // confirm before the file is locked
		ring, err := u.readRing(r.from)
		if err == nil && !r.isDead(ring, u.now()) {
			err = u.confirm(&r, ring)
		}
		if err != nil {
			return err
		}
	}
	return u.revoke(&r)
}

// arguments reads ID and FILE. Its errors say which of them is missing.
func (r *revocation) arguments(command string, args []string) (err error) {
	const takes = `"carryon keys revoke" needs an ID and a FILE`
	if len(args) == 0 {
		return usageError{errors.New(takes)}
	}
	if r.id, err = keyring.ParseID(args[0]); err == nil {
		return r.named(command, args[1:])
	}
	switch {
	case len(args) > 1 && isID(args[1]):
		err = errors.New(takes + ", in this order")
	case len(args) == 1 && r.from == "":
		err = hint(errors.New(takes), "to list the ids run: carryon keys list %s", shellQuote(args[0]))
	}
	return usageError{err}
}

func isID(s string) bool {
	_, err := keyring.ParseID(s)
	return err == nil
}

func (r *revocation) isDead(ring *keyring.Ring, now time.Time) bool {
	_, state := ring.Find(r.id, now)
	r.dead = state
	return state.Dead()
}

// confirm prints the costs of the revocation and asks for confirmation.
func (u *ui) confirm(r *revocation, ring *keyring.Ring) error {
	if r.ask && (r.from == stdio || !u.canAsk()) {
		return hint(errors.New("revoking a key logs visitors out, and there is no terminal to ask for confirmation"), "to confirm in a script add --yes")
	}
	r.fingerprint = ring.Fingerprint()
	if err := u.costs(r, ring); err != nil || !r.ask {
		return err
	}
	fmt.Fprintf(u.err, "carryon: revoke key %v? Type yes: ", r.id)
	answer, err := bufio.NewReader(io.LimitReader(u.in, 100)).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was revoked")
	}
	return nil
}

func (u *ui) revoke(r *revocation) error {
	err := u.changeRing(r.place, func(ring *keyring.Ring) (next *keyring.Ring, err error) {
		if r.isDead(ring, u.now()) {
			return ring, nil
		}
		switch r.fingerprint {
		case "":
			if err := u.confirm(r, ring); err != nil {
				return nil, err
			}
		case ring.Fingerprint():
		default:
			return nil, errors.New("nothing was revoked, because the ring has changed meanwhile; run the command again")
		}
		next, r.change, err = ring.Revoke(r.id, u.now())
		return next, err
	})
	if err != nil {
		return err
	}
	if r.dead.Dead() {
		u.note("key %v is %v already; nothing to do", r.id, r.dead)
		return nil
	}
	u.note("revoked key %v; servers that use this ring reject the sessions it sealed", r.id)
	if k := r.change.Added; k != nil {
		u.note("added key %v in its place; it is active", k.ID())
	}
	if k := r.change.Promoted; k != nil {
		u.note("staged key %v is active now", k.ID())
	}
	u.reportRemoved(r.change)
	return nil
}

// costs prints which visitors a revocation logs out. It warns if the next key
// becomes active before all servers have it.
func (u *ui) costs(r *revocation, ring *keyring.Ring) error {
	now := u.now()
	next, change, err := ring.Revoke(r.id, now)
	if err != nil {
		return hint(err, "to list the keys run: carryon keys list %s", shellQuote(r.from))
	}
	for _, k := range ring.Keys() {
		if k.ID() == r.id {
			u.note("%s", cost(k, now))
		}
	}
	problems, err := ring.CheckNext(next, now, keyring.Policy{ActivateIn: defaultPropagation})
	if err != nil {
		return err
	}
	for _, k := range []*keyring.Key{change.Added, change.Promoted} {
		for _, p := range problems {
			if k != nil && p.ID == k.ID() && p.Loses {
				u.warn("key %v becomes active at once; until a server sees the new ring, it ignores sessions sealed with this key and keeps their cookies", p.ID)
			}
		}
	}
	return nil
}

// cost describes the visitors that a revocation of the key logs out.
func cost(k *keyring.Key, now time.Time) string {
	switch k.State(now) {
	case keyring.Active:
		return fmt.Sprintf("key %v has been active for %s: revoking it logs out everyone who visited in this time", k.ID(), roughly(now.Sub(activeSince(k))))
	case keyring.Retired:
		return fmt.Sprintf("key %v retired %s ago: revoking it logs out visitors who have not returned since", k.ID(), roughly(now.Sub(k.Retires())))
	}
	return fmt.Sprintf("key %v is staged and has sealed nothing yet: revoking it logs no one out", k.ID())
}
