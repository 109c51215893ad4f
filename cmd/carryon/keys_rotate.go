package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// keysRotate adds a staged key.
func keysRotate(u *ui, args []string) error {
	set := u.flags()
	activateIn := set.Duration("activate-in", keyring.DefaultActivateIn,
		"`DURATION` until the new key seals, 1h if not given; longer than any\n        server takes to see the new ring; 0 is at once")
	overlap := set.Duration("overlap", keyring.DefaultOverlap,
		"`DURATION` for which the old key opens after that, 768h (32 days) if not\n        given; at least the longest lifetime of a session, plus the time above")
	force := set.Bool("force", false, "add a key even if another is still staged")
	rest, err := u.parse(set, args, 1)
	if err != nil {
		return err
	}
	if *activateIn < 0 || *overlap <= 0 {
		return usageError{errors.New("--activate-in must not be negative, and --overlap must be positive")}
	}
	policy := keyring.Policy{ActivateIn: *activateIn, Overlap: *overlap, AllowStaged: *force}
	if *activateIn == 0 {
		policy.ActivateIn = -1 // the policy's zero is its default
	}
	return u.rotate(rest[0], policy)
}

func (u *ui) rotate(file string, policy keyring.Policy) error {
	now := u.now()
	var change keyring.Change
	err := u.changeRing(file, func(ring *keyring.Ring) (next *keyring.Ring, err error) {
		next, change, err = ring.Rotate(now, policy)
		return next, err
	})
	if staged := (*keyring.StagedError)(nil); errors.As(err, &staged) {
		return hint(fmt.Errorf("key %v is staged until %s, and no other is added before that", staged.ID, stamp(staged.Activates)),
			"rotating is safe in %s; --force adds another key now", staged.Activates.Sub(now).Round(time.Second))
	} else if err != nil {
		return err
	}
	u.reportGone(change)
	u.reportRotation(change, now)
	return nil
}

func (u *ui) reportRotation(c keyring.Change, now time.Time) {
	if c.Added.State(now) == keyring.Active {
		u.warn("key %v seals at once; servers that have not seen the ring cannot open what it seals", c.Added.ID())
	} else {
		u.note("added key %v, which becomes active at %s", c.Added.ID(), stamp(c.Added.Activates()))
	}
	if old := c.Retires; old != nil {
		u.note("key %v retires then, and opens until %s", old.ID(), stamp(old.Expires()))
	}
}
