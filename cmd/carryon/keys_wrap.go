package main

import (
	"cmp"
	"errors"
	"flag"

	"github.com/carryon-go/carryon/keyring"
)

// keysWrap encrypts a plain ring, and leaves the plain one as it is.
func keysWrap(u *ui, args []string) error {
	var p place
	set := u.flags()
	p.flags(set)
	u.wrapFlag(set)
	set.StringVar(&u.verify, "unwrap", "", "`COMMAND` that decrypts the result, to check it; default: no check")
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	p.to = cmp.Or(p.to, stdio)
	if err := cmp.Or(p.named(u.command.name, rest), u.needs(set, "wrap")); err != nil {
		return err
	}
	ring, err := u.readRing(p.from)
	if err != nil {
		return err
	}
	if p.to == stdio {
		return u.printRing(ring)
	}
	if err := u.createRing(p.to, ring); err != nil {
		return err
	}
	u.note("wrote ring %s, encrypted, to %s. Once all programs read it, remove every copy of the plain ring", ring.Fingerprint(), p.to)
	return nil
}

// keysRewrap encrypts a wrapped ring with another key.
func keysRewrap(u *ui, args []string) error {
	var p place
	set := u.flags()
	p.flags(set)
	u.wrapFlags(set)
	set.StringVar(&u.verify, "verify", "", "`COMMAND` that decrypts the result, to check it; default: that of --unwrap")
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if err := cmp.Or(p.named(u.command.name, rest), u.needs(set, "unwrap", "wrap")); err != nil {
		return err
	}
	u.verify = cmp.Or(u.verify, u.unwrap)
	err = u.changeRing(p, func(ring *keyring.Ring) (*keyring.Ring, error) {
		same := *ring // another pointer: the ring is written although it is the same
		return &same, nil
	})
	if err == nil {
		u.note("encrypted the ring again; its keys are the same. If the old decryption key leaked, the ring has leaked, too")
	}
	return err
}

// needs returns an error if one of the flags was not given.
func (u *ui) needs(set *flag.FlagSet, names ...string) error {
	for _, name := range names {
		if set.Lookup(name).Value.String() == "" {
			return usageError{errors.New("carryon " + u.command.name + " needs --" + name + " COMMAND")}
		}
	}
	return nil
}
