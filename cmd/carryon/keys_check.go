package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/span"
	"github.com/carryon-go/carryon/keyring"
)

const (
	// lookEvery is how old a ring a server may use that asks a function or
	// a file system for it, and a bit.
	lookEvery = 2 * time.Minute

	// lifetime is the default lifetime of a session.
	lifetime = span.Day
)

// keysCheck fails as a server would at its start, and where visitors would be
// logged out; it warns of the rest.
func keysCheck(u *ui, args []string) error {
	longest, delay := duration(lifetime), duration(lookEvery)
	overlap, period := duration(keyring.DefaultOverlap), duration(0)
	set := u.flags()
	next := set.String("next", "", "say what would go wrong if the ring in `FILE` took this one's place now")
	set.Var(&longest, "lifetime", "`DURATION` of the longest session, 24h if not given, as in middleware.Config")
	set.Var(&delay, "propagation", "`DURATION` that the slowest server takes to see a new ring, 2m if not given")
	set.Var(&overlap, "overlap", "`DURATION` that you rotate with, 32d if not given; it must suit the two above")
	set.Var(&period, "period", "`DURATION` after which you rotate; without it nothing is overdue for two years")
	strict := set.Bool("strict", false, "fail on warnings, too")
	rest, err := u.parse(set, args, 1)
	if err != nil {
		return err
	}
	if longest <= 0 || delay <= 0 || overlap <= 0 || period < 0 {
		return usageError{errors.New("the durations must be positive")}
	}
	ring, planned, err := u.readTwo(rest[0], *next)
	if err != nil {
		return err
	}
	p := keyring.Policy{Period: time.Duration(period), ActivateIn: time.Duration(delay), Overlap: time.Duration(overlap), Lifetime: time.Duration(longest)}
	losses, warnings, err := u.findings(ring, planned, p)
	switch {
	case err != nil:
		return err
	case losses > 0:
		return fmt.Errorf("visitors would be logged out, by %s", count(losses, "problem"))
	case warnings > 0 && *strict:
		return fmt.Errorf("%s, and --strict", count(warnings, "warning"))
	}
	if planned != nil {
		ring = planned
	}
	active := ring.Active(u.now())
	_, err = fmt.Fprintf(u.out, "ok: %s, %v is active since %s, fingerprint %s\n",
		count(len(ring.Keys()), "key"), active.ID(), stamp(since(active)), ring.Fingerprint())
	return err
}

// readTwo reads the ring, and the planned one if there is one.
func (u *ui) readTwo(file, next string) (ring, planned *keyring.Ring, err error) {
	if file == stdio && next == stdio {
		return nil, nil, usageError{errors.New("only one of the two rings can be standard input")}
	}
	if ring, err = u.readRing(file); err == nil && next != "" {
		planned, err = u.readRing(next)
	}
	return ring, planned, err
}

// findings prints what is wrong with the ring or with the step to the planned
// one, and counts.
func (u *ui) findings(ring, planned *keyring.Ring, p keyring.Policy) (losses, warnings int, err error) {
	check := func() ([]keyring.Problem, error) {
		if planned != nil {
			return ring.CheckNext(planned, u.now(), p)
		}
		return ring.Check(u.now(), p)
	}
	found, err := check()
	if short := (*keyring.OverlapError)(nil); errors.As(err, &short) {
		u.say("problem: ", "an overlap of %s is too short; with these sessions and servers rotate with --overlap %s or more", span.String(short.Overlap), span.String(short.Least))
		losses, p.Overlap = 1, -1
		found, err = check()
	}
	for _, problem := range found {
		if problem.Loses {
			losses++
			u.say("problem: ", "%v", problem)
		} else {
			warnings++
			u.warn("%v", problem)
		}
	}
	return losses, warnings, err
}

// since returns when a key began to be active: the place of a revoked key that
// it took over may be older than the key.
func since(k *keyring.Key) time.Time {
	if k.Created().After(k.Activates()) {
		return k.Created()
	}
	return k.Activates()
}
