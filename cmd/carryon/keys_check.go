package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/span"
	"github.com/carryon-go/carryon/keyring"
)

const (
	// defaultPropagation is how late a server may see a new ring: the polling interval
	// of sources that are a function or a file, rounded up.
	defaultPropagation = 2 * time.Minute

	// defaultLifetime is the default lifetime of a session.
	defaultLifetime = span.Day
)

// keysCheck fails if servers would reject the ring, or if the ring would log
// visitors out. It warns of everything else.
func keysCheck(u *ui, args []string) error {
	longest, delay := duration(defaultLifetime), duration(defaultPropagation)
	overlap, period := duration(keyring.DefaultOverlap), duration(0)
	set := u.flags()
	next := set.String("next", "", "check the step from this ring to the ring in `FILE`, taken now")
	set.Var(&longest, "lifetime", "`DURATION` of the longest session, as in middleware.Config; default 24h")
	set.Var(&delay, "propagation", "`DURATION` that the slowest server takes to see a new ring; default 2m")
	set.Var(&overlap, "overlap", "`DURATION` that you rotate with; default 32d; must fit --lifetime and --propagation")
	set.Var(&period, "period", "`DURATION` after which you rotate; by default a key is overdue after two years")
	strict := set.Bool("strict", false, "fail on warnings, too")
	u.unwrapFlag(set)
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
		return fmt.Errorf("%s would log visitors out", count(losses, "problem"))
	case warnings > 0 && *strict:
		return fmt.Errorf("%s (failing because of --strict)", count(warnings, "warning"))
	}
	if planned != nil {
		ring = planned
	}
	active := ring.Active(u.now())
	_, err = fmt.Fprintf(u.out, "ok: %s, %v is active since %s, fingerprint %s\n",
		count(len(ring.Keys()), "key"), active.ID(), stamp(activeSince(active)), ring.Fingerprint())
	return err
}

// readTwo reads the ring and, if next is given, the planned ring.
func (u *ui) readTwo(file, next string) (ring, planned *keyring.Ring, err error) {
	if file == stdio && next == stdio {
		return nil, nil, usageError{errors.New("only one of the two rings can be standard input")}
	}
	if ring, err = u.readRing(file); err == nil && next != "" {
		planned, err = u.readRing(next)
	}
	return ring, planned, err
}

// findings prints the problems and warnings of the ring, or of the step to the
// planned ring, and returns how many there are.
func (u *ui) findings(ring, planned *keyring.Ring, p keyring.Policy) (losses, warnings int, err error) {
	check := func() ([]keyring.Problem, error) {
		if planned != nil {
			return ring.CheckNext(planned, u.now(), p)
		}
		return ring.Check(u.now(), p)
	}
	found, err := check()
	if short := (*keyring.OverlapError)(nil); errors.As(err, &short) {
		u.say("problem: ", "an overlap of %s is too short for this --lifetime and --propagation; rotate with --overlap %s or more", span.String(short.Overlap), span.String(short.Least))
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

// activeSince returns when a key became active. A key that took over from a revoked
// one inherits its activation time, which may be before the key was created.
func activeSince(k *keyring.Key) time.Time {
	if k.Created().After(k.Activates()) {
		return k.Created()
	}
	return k.Activates()
}
