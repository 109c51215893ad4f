package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/span"
	"github.com/carryon-go/carryon/keyring"
)

// A rotation is one run of the command.
type rotation struct {
	place
	policy      keyring.Policy
	propagation time.Duration
	ifDue       bool
	force       bool
	due         time.Time // the next due time, if the rotation is not due
	change      keyring.Change
}

// keysRotate adds a staged key.
func keysRotate(u *ui, args []string) error {
	var r rotation
	set := u.flags()
	r.flags(set)
	policy := policyFlags(set)
	var seal form
	set.Var(&seal, "form", "`FORM` in which the new key seals: xaes, xchacha or securecookie; default: the form of the\n        newest key. Programs need Config.Formats for any form but xaes, before you rotate")
	propagation := duration(defaultPropagation)
	set.Var(&propagation, "propagation", "`DURATION` that the slowest server takes to see a new ring; default 2m")
	set.BoolVar(&r.ifDue, "if-due", false, "do nothing until the newest key has been active for --period; for cron")
	set.BoolVar(&r.force, "force", false, "rotate even if a key is still staged, or if that logs visitors out")
	set.BoolVar(&u.quiet, "quiet", false, "print only warnings and errors")
	u.wrapFlags(set)
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if err := cmp.Or(r.named(u.command.name, rest), u.checkWrapFlags()); err != nil {
		return err
	}
	r.propagation = time.Duration(propagation)
	if r.policy, err = policy(); err == nil && propagation <= 0 {
		err = usageError{errors.New("--propagation must be positive")}
	}
	if err == nil && !r.ifDue && isSet(set, "period") {
		err = usageError{errors.New("--period needs --if-due")}
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

// policyFlags adds the flags of a policy to a flag set. Call the returned
// function after parsing.
func policyFlags(set *flag.FlagSet) func() (keyring.Policy, error) {
	activateIn, overlap := duration(keyring.DefaultActivateIn), duration(keyring.DefaultOverlap)
	period, longest := duration(keyring.DefaultPeriod), duration(defaultLifetime)
	set.Var(&activateIn, "activate-in", "`DURATION` until the new key becomes active; default 1h; must be longer than any server\n        takes to see the new ring; 0 means at once and needs --force")
	set.Var(&overlap, "overlap", "`DURATION` for which the old key still opens sessions after that; default 32d; at least\n        --lifetime plus --activate-in")
	set.Var(&longest, "lifetime", "`DURATION` of the longest session, as in middleware.Config; default 24h")
	set.Var(&period, "period", "`DURATION` for which each key is active, with --if-due; default 30d")
	return func() (keyring.Policy, error) {
		if activateIn < 0 || overlap <= 0 || period <= 0 || longest <= 0 {
			return keyring.Policy{}, usageError{errors.New("--activate-in must not be negative, and --overlap, --lifetime and --period must be positive")}
		}
		if activateIn == 0 {
			activateIn = -1 // the policy's zero means its default
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
		u.note("the next rotation is due at %s; nothing to do", stamp(r.due))
		return nil
	}
	u.reportRemoved(r.change)
	u.reportRotation(r, now)
	return nil
}

// step makes the next ring. It runs while the file is locked: of two concurrent
// runs with --if-due, the second finds that nothing is due.
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
	return next, r.checkLoss(ring, next, now)
}

// checkLoss returns an error if the step loses sessions which the old ring would
// not lose.
func (r *rotation) checkLoss(ring, next *keyring.Ring, now time.Time) error {
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

// A lossError is a step that would log visitors out.
type lossError struct{ keyring.Problem }

func (e lossError) Error() string { return "this rotation would log visitors out: " + e.String() }

// explain adds the advice to an error of a refused step.
func (r *rotation) explain(err error, now time.Time) error {
	var (
		staged *keyring.StagedError
		short  *keyring.OverlapError
		loss   lossError
	)
	switch {
	case errors.As(err, &staged):
		return hint(fmt.Errorf("key %v is staged until %s; no other key can be added before that", staged.ID, stamp(staged.Activates)),
			"rotate again in %s, or add another key now with --force", span.String(staged.Activates.Sub(now).Round(time.Second)))
	case errors.As(err, &short):
		return hint(fmt.Errorf("an overlap of %s would log visitors out: sessions sealed with the old key live longer", span.String(short.Overlap)),
			"set --overlap to %s or more; if your sessions are shorter, set --lifetime; to rotate anyway add --force", span.String(short.Least))
	case errors.As(err, &loss) && r.policy.ActivateIn < r.propagation:
		return hint(err, "set --activate-in to %s or more; if your servers see a new ring earlier, set --propagation; to rotate anyway add --force",
			span.String(r.propagation))
	case errors.As(err, &loss):
		return hint(err, "to rotate anyway add --force")
	}
	return err
}

func (u *ui) reportRotation(r *rotation, now time.Time) {
	added := r.change.Added
	switch at := added.Activates(); {
	case added.State(now) == keyring.Active:
		u.warn("key %v is active at once; servers that have not seen the new ring cannot open its sessions", added.ID())
	case at.Sub(now) < r.propagation:
		u.warn("key %v becomes active at %s; servers that have not seen the new ring by then cannot open its sessions", added.ID(), stamp(at))
	default:
		u.note("added key %v; it becomes active at %s", added.ID(), stamp(at))
	}
	if old := r.change.Retires; old != nil {
		u.note("key %v retires then; it opens sessions until %s", old.ID(), stamp(old.Expires()))
	}
}
