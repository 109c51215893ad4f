package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// revocation is one run of the command.
type revocation struct {
	place
	id     keyring.ID
	ask    bool
	seen   string // the fingerprint of the ring of which the costs were told
	dead   keyring.State
	change keyring.Change
}

// keysRevoke kills a key that leaked.
func keysRevoke(u *ui, args []string) error {
	var r revocation
	set := u.flags()
	r.flags(set)
	yes := set.Bool("yes", false, "do not ask; for scripts")
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if err := r.arguments(u.command.name, rest); err != nil {
		return err
	}
	r.ask = !*yes
	if r.ask && r.inPlace() { // nobody shall think while the file is locked
		ring, err := u.readRing(r.from)
		if err == nil && !r.isDead(ring, u.now()) {
			err = u.prepare(&r, ring)
		}
		if err != nil {
			return err
		}
	}
	return u.revoke(&r)
}

// arguments reads ID and FILE, and says which of them is missing.
func (r *revocation) arguments(command string, args []string) (err error) {
	const takes = `"carryon keys revoke" takes an ID and a FILE`
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
		err = hint(errors.New(takes), "to see the ids run: carryon keys list %s", shellQuote(args[0]))
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

// prepare says what it will cost, and asks whether that is meant.
func (u *ui) prepare(r *revocation, ring *keyring.Ring) error {
	if r.ask && (r.from == stdio || !u.canAsk()) {
		return hint(errors.New("revoking logs people out, and there is no terminal to ask whether that is meant"), "in a script add --yes")
	}
	r.seen = ring.Fingerprint()
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
		switch r.seen {
		case "":
			if err := u.prepare(r, ring); err != nil {
				return nil, err
			}
		case ring.Fingerprint():
		default:
			return nil, errors.New("nothing was revoked: the ring has changed meanwhile; run it again")
		}
		next, r.change, err = ring.Revoke(r.id, u.now())
		return next, err
	})
	if err != nil {
		return err
	}
	if r.dead.Dead() {
		u.note("key %v is %v already, and what it sealed is void; nothing to do", r.id, r.dead)
		return nil
	}
	u.note("revoked key %v; what it sealed is void wherever the ring is in use", r.id)
	if k := r.change.Added; k != nil {
		u.note("added key %v in its place, which is active", k.ID())
	}
	if k := r.change.Promoted; k != nil {
		u.note("key %v, which was staged, is active now", k.ID())
	}
	u.reportGone(r.change)
	return nil
}

// costs says who will be logged out, and what servers meet that are late.
func (u *ui) costs(r *revocation, ring *keyring.Ring) error {
	now := u.now()
	next, change, err := ring.Revoke(r.id, now)
	if err != nil {
		return hint(err, "to see the keys run: carryon keys list %s", shellQuote(r.from))
	}
	for _, k := range ring.Keys() {
		if k.ID() == r.id {
			u.note("%s", cost(k, now))
		}
	}
	problems, err := ring.CheckNext(next, now, keyring.Policy{ActivateIn: lookEvery})
	if err != nil {
		return err
	}
	for _, k := range []*keyring.Key{change.Added, change.Promoted} {
		for _, p := range problems {
			if k != nil && p.ID == k.ID() && p.Loses {
				u.warn("key %v takes over at once; a server that has not seen the ring yet takes its sessions for absent, and leaves them where they are", p.ID)
			}
		}
	}
	return nil
}

// cost is who is logged out if a key is revoked.
func cost(k *keyring.Key, now time.Time) string {
	switch k.State(now) {
	case keyring.Active:
		return fmt.Sprintf("key %v is active and has sealed for %s: every visitor since then is logged out", k.ID(), roughly(now.Sub(since(k))))
	case keyring.Retired:
		return fmt.Sprintf("key %v retired %s ago: visitors who have not come back since then are logged out", k.ID(), roughly(now.Sub(k.Retires())))
	}
	return fmt.Sprintf("key %v is staged and has sealed nothing yet: nobody is logged out", k.ID())
}
