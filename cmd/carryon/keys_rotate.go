package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/span"
	"github.com/carryon-go/carryon/keyring"
)

// rotation is one run of the command.
type rotation struct {
	place
	policy      keyring.Policy
	propagation time.Duration
	ifDue       bool
	force       bool
	due         time.Time // when it is, if it was not due
	change      keyring.Change
}

// keysRotate adds a staged key.
func keysRotate(u *ui, args []string) error {
	var r rotation
	set := u.flags()
	r.flags(set)
	policy := policyFlags(set)
	var seal form
	set.Var(&seal, "form", "`FORM` that the new key seals: xaes, xchacha or securecookie; that of the newest key if not\n        given. Every program must have another before (middleware.Config.Formats)")
	propagation := duration(lookEvery)
	set.Var(&propagation, "propagation", "`DURATION` that the slowest server takes to see a new ring, 2m if not given")
	set.BoolVar(&r.ifDue, "if-due", false, "do nothing unless the newest key has sealed for the period; for cron")
	set.BoolVar(&r.force, "force", false, "even if a key is still staged, or if it logs somebody out")
	set.BoolVar(&u.quiet, "quiet", false, "say nothing unless it fails")
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if err := r.named(u.command.name, rest); err != nil {
		return err
	}
	r.propagation = time.Duration(propagation)
	if r.policy, err = policy(); err == nil && propagation <= 0 {
		err = usageError{errors.New("--propagation must be positive")}
	}
	if err == nil && !r.ifDue && isSet(set, "period") {
		err = usageError{errors.New("--period says when a rotation is due; it needs --if-due")}
	}
	if err != nil {
		return err
	}
	r.policy.Format = byte(seal)
	if r.force {
		r.policy.AllowStaged, r.policy.Lifetime = true, 0
	}
	return u.rotate(&r)
}

// policyFlags adds the flags of a policy to a set. What it returns is called
// once they are parsed.
func policyFlags(set *flag.FlagSet) func() (keyring.Policy, error) {
	activateIn, overlap := duration(keyring.DefaultActivateIn), duration(keyring.DefaultOverlap)
	period, longest := duration(keyring.DefaultPeriod), duration(lifetime)
	set.Var(&activateIn, "activate-in", "`DURATION` until the new key seals, 1h if not given; longer than any server\n        takes to see the new ring; 0 is at once, and needs --force")
	set.Var(&overlap, "overlap", "`DURATION` for which the old key opens after that, 32d if not given; at least\n        the longest lifetime of a session, plus the time above")
	set.Var(&longest, "lifetime", "`DURATION` of the longest session, 24h if not given, as in middleware.Config")
	set.Var(&period, "period", "`DURATION` for which each key seals, with --if-due; 30d if not given")
	return func() (keyring.Policy, error) {
		if activateIn < 0 || overlap <= 0 || period <= 0 || longest <= 0 {
			return keyring.Policy{}, usageError{errors.New("--activate-in must not be negative, and --overlap, --lifetime and --period must be positive")}
		}
		if activateIn == 0 {
			activateIn = -1 // the policy's zero is its default
		}
		return keyring.Policy{
			Period: time.Duration(period), ActivateIn: time.Duration(activateIn),
			Overlap: time.Duration(overlap), Lifetime: time.Duration(longest),
		}, nil
	}
}

func isSet(set *flag.FlagSet, name string) (found bool) {
	set.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func (u *ui) rotate(r *rotation) error {
	now := u.now()
	err := u.changeRing(r.place, func(ring *keyring.Ring) (*keyring.Ring, error) { return r.step(ring, now) })
	if err != nil {
		return r.explain(err, now)
	}
	if r.change.Added == nil {
		u.note("nothing to do: the next rotation is due at %s", stamp(r.due))
		return nil
	}
	u.reportGone(r.change)
	u.reportRotation(r, now)
	return nil
}

// step makes the next ring. It is called with the file locked, so that of two
// that run at once the second finds that nothing is due.
func (r *rotation) step(ring *keyring.Ring, now time.Time) (next *keyring.Ring, err error) {
	if r.ifDue {
		due := false
		if r.due, due, err = ring.Due(now, r.policy); err != nil || !due {
			return ring, err
		}
	}
	next, r.change, err = ring.Rotate(now, r.policy)
	if err != nil || r.force {
		return next, err
	}
	return next, r.refuse(ring, next, now)
}

// refuse returns what the step would lose that is not lost anyway.
func (r *rotation) refuse(ring, next *keyring.Ring, now time.Time) error {
	p := r.policy
	p.ActivateIn, p.Period = r.propagation, 0
	before, err := ring.Check(now, p)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, problem := range before {
		known[problem.Text] = true
	}
	after, err := ring.CheckNext(next, now, p)
	if err != nil {
		return err
	}
	for _, problem := range after {
		if problem.Loses && !known[problem.Text] {
			return lossError{problem}
		}
	}
	return nil
}

// A lossError is a step that would log somebody out.
type lossError struct{ keyring.Problem }

func (e lossError) Error() string { return "this would log people out: " + e.String() }

// explain says what to do about a step that was refused.
func (r *rotation) explain(err error, now time.Time) error {
	var (
		staged *keyring.StagedError
		short  *keyring.OverlapError
		loss   lossError
	)
	switch {
	case errors.As(err, &staged):
		return hint(fmt.Errorf("key %v is staged until %s, and no other is added before that", staged.ID, stamp(staged.Activates)),
			"rotating is safe in %s; --force adds another key now", span.String(staged.Activates.Sub(now).Round(time.Second)))
	case errors.As(err, &short):
		return hint(fmt.Errorf("an overlap of %s would log people out: sessions that the old key sealed live longer", span.String(short.Overlap)),
			"give --overlap %s or more, or --lifetime, if your sessions end earlier; --force does it all the same", span.String(short.Least))
	case errors.As(err, &loss) && r.policy.ActivateIn < r.propagation:
		return hint(err, "it is safe now with --activate-in %s or more; if your servers see a new ring earlier, say so by --propagation; --force does it all the same",
			span.String(r.propagation))
	case errors.As(err, &loss):
		return hint(err, "--force does it all the same")
	}
	return err
}

func (u *ui) reportRotation(r *rotation, now time.Time) {
	added := r.change.Added
	switch at := added.Activates(); {
	case added.State(now) == keyring.Active:
		u.warn("key %v seals at once; servers that have not seen the ring cannot open what it seals", added.ID())
	case at.Sub(now) < r.propagation:
		u.warn("key %v seals from %s on; servers that have not seen the ring by then cannot open what it seals", added.ID(), stamp(at))
	default:
		u.note("added key %v, which becomes active at %s", added.ID(), stamp(at))
	}
	if old := r.change.Retires; old != nil {
		u.note("key %v retires then, and opens until %s", old.ID(), stamp(old.Expires()))
	}
}
