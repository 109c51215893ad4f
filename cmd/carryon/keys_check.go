package main

import (
	"fmt"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

const (
	// lookEvery is how old a ring a server may use that asks a function or
	// a file system for it, and a bit.
	lookEvery = 2 * time.Minute

	// lifetime is the default lifetime of a session.
	lifetime = 24 * time.Hour

	// cryptoperiod is the least that NIST SP 800-57 part 1 (5.3.6) gives for
	// how long a symmetric key should encrypt: at most two years.
	cryptoperiod = 2 * 365 * 24 * time.Hour
)

// keysCheck fails as a server would at its start, and warns of what will.
func keysCheck(u *ui, args []string) error {
	rest, err := u.parse(u.flags(), args, 1)
	if err != nil {
		return err
	}
	ring, err := u.readRing(rest[0])
	if err != nil {
		return err
	}
	now := u.now()
	for i, k := range ring.Keys() {
		for _, w := range warnings(k, now, i == 0) {
			u.warn("key %v %s", k.ID(), w)
		}
	}
	active := ring.Active(now)
	_, err = fmt.Fprintf(u.out, "ok: %s, %v is active since %s, fingerprint %s\n",
		count(len(ring.Keys()), "key"), active.ID(), stamp(active.Activates()), ring.Fingerprint())
	return err
}

func warnings(k *keyring.Key, now time.Time, first bool) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	state, overlap := k.State(now), k.Expires().Sub(k.Retires())
	ended := !k.Retires().IsZero()
	switch {
	case state == keyring.Staged && k.Activates().Sub(k.Created()) < lookEvery:
		add("is staged for less than %v; a server that looks once a minute can meet it unprepared", lookEvery)
	case state == keyring.Active && now.Sub(k.Activates()) > cryptoperiod:
		add("seals for more than two years; rotate")
	case state == keyring.Active && first && now.Before(k.Activates()):
		add("becomes active at %s and seals already, as there is no other; is the clock right?", stamp(k.Activates()))
	case state == keyring.Expired:
		add("has expired; remove it with: carryon keys prune FILE")
	}
	switch {
	case state == keyring.Expired || !ended:
	case k.Expires().IsZero():
		add("opens for ever after it has retired")
	case overlap < lifetime:
		add("opens for only %v after it has retired, less than the default lifetime of a session, %v", overlap, lifetime)
	}
	return list
}
