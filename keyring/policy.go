package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/span"
)

// The defaults of a [Policy], and its upper bounds.
const (
	// DefaultPeriod is a month, which is common for keys that seal tokens.
	DefaultPeriod = 30 * 24 * time.Hour

	// DefaultActivateIn is longer than any replica should take to see a new
	// ring. A file is seen within a second, a function within a minute, and a
	// secret that a platform mounts or caches within a few minutes.
	DefaultActivateIn = time.Hour

	// DefaultOverlap covers a session of 30 days, the usual "remember me", and
	// leaves two days for late replicas and wrong clocks.
	DefaultOverlap = 32 * 24 * time.Hour

	// MaxPolicy is the maximum of ActivateIn and of Overlap. Browsers keep no
	// cookie longer than 400 days.
	MaxPolicy = 402 * 24 * time.Hour

	// MaxPeriod is two years, the shortest maximum that NIST SP 800-57 part 1
	// (5.3.6) gives for encryption with a symmetric key.
	MaxPeriod = 2 * 365 * 24 * time.Hour

	// remembered is how long the ring keeps the id of a dead key: as long as a
	// browser may send a cookie that the key sealed.
	remembered = MaxPolicy
)

// A Policy sets the schedule that [Ring.Rotate] follows and that [Ring.Due],
// [Ring.Check] and [Ring.CheckNext] check. No session is lost under two
// conditions. ActivateIn must be longer than the longest time that a replica
// uses an old ring, plus the largest difference between two clocks. Overlap
// must be at least Lifetime plus ActivateIn.
type Policy struct {
	// Period is how long each key seals, from its activation to that of its
	// successor. Only [Ring.Due] and [Ring.Check] use it. 0 means
	// [DefaultPeriod], 30 days. A negative value means that rotation is never
	// due. Otherwise Period must be at least ActivateIn and at most
	// [MaxPeriod]. If it equals ActivateIn, there is always a staged key that
	// all replicas know, ready to take over if the active key is revoked.
	Period time.Duration

	// ActivateIn is how long a new key is staged, so that every replica has it
	// before the first one seals with it. It must exceed the time that the
	// slowest replica takes to see the new ring, plus the largest difference
	// between two clocks. 0 means [DefaultActivateIn], 1 hour. A negative
	// value means that the key is active at once. The maximum is [MaxPolicy].
	ActivateIn time.Duration

	// Overlap is how long a key still opens cookies after it retired. It must
	// be at least the longest lifetime of a session plus ActivateIn; a shorter
	// overlap logs users out. 0 means [DefaultOverlap], 32 days. A negative
	// value means that the key never expires. The maximum is [MaxPolicy].
	Overlap time.Duration

	// Lifetime is the longest lifetime of a session. If it is set, an Overlap
	// that is too short for it is an [OverlapError]. 0 or less means that the
	// lifetime is unknown and is not checked.
	Lifetime time.Duration

	// Format is the sealed form of the new key, as in [Key.Format]. 0 means
	// the format of the newest key in the ring. Before you add a key of
	// another format, configure that format in every program that uses the
	// ring (middleware.Config.Formats). A program without it refuses the
	// cookies that the key seals.
	Format byte

	// AllowStaged lets Rotate add a key while another one is staged. Replicas
	// may then see keys in an unplanned order.
	AllowStaged bool
}

// An OverlapError reports that sessions can outlive the key that sealed them.
type OverlapError struct {
	ID      ID            // key of a ring; zero if the error is about a Policy
	Overlap time.Duration // how long the key opens after it retired
	Least   time.Duration // the minimum
}

// Error returns the overlap and the minimum.
func (e *OverlapError) Error() string {
	if e.ID == (ID{}) {
		return fmt.Sprintf("keyring: an overlap of %s logs users out: it must be at least %s, the longest lifetime of a session plus the time until activation", span.String(e.Overlap), span.String(e.Least))
	}
	return fmt.Sprintf("keyring: key %v opens for only %s after it has retired, and sessions live for %s; give it a later \"expires\", or let sessions end earlier", e.ID, span.String(e.Overlap), span.String(e.Least))
}

func (p Policy) withDefaults() (Policy, error) {
	p.Period = cmp.Or(p.Period, DefaultPeriod)
	p.ActivateIn = max(cmp.Or(p.ActivateIn, DefaultActivateIn), 0)
	p.Overlap = cmp.Or(p.Overlap, DefaultOverlap)
	if p.ActivateIn > MaxPolicy || p.Overlap > MaxPolicy {
		return p, fmt.Errorf("keyring: the time until activation and the overlap are at most %d days each", MaxPolicy/(24*time.Hour))
	}
	if least := p.Lifetime + p.ActivateIn; p.Lifetime > 0 && p.Overlap > 0 && p.Overlap < least {
		return p, &OverlapError{Overlap: p.Overlap, Least: least}
	}
	return p, nil
}

// checkPeriod returns an error if no ring could follow the period.
func (p Policy) checkPeriod() error {
	switch {
	case p.Period < 0:
		return nil
	case p.Period > MaxPeriod:
		return fmt.Errorf("keyring: the period is at most %d days", MaxPeriod/(24*time.Hour))
	case p.Period < p.ActivateIn:
		return fmt.Errorf("keyring: the period, %s, is shorter than the time until activation, %s; a key would be due while another is staged", span.String(p.Period), span.String(p.ActivateIn))
	case p.Period == 0 || p.Overlap/p.Period+2 > MaxKeys:
		return fmt.Errorf("keyring: with a period of %s and an overlap of %s a ring would need more than %d keys; make the period longer or the overlap shorter", span.String(p.Period), span.String(p.Overlap), MaxKeys)
	}
	return nil
}

// Due returns when the ring should be rotated next, and whether that time has
// come. The rotation is due early enough for the new key to become active when
// the newest key has sealed for one period. No rotation is due while a key is
// staged. If the period is negative, rotation is never due and at is zero. Due
// is a pure function of the ring and the time, so all callers get the same
// answer. A job that rotates when it is due can run at any time, as often as
// it likes.
func (r *Ring) Due(now time.Time, p Policy) (at time.Time, due bool, err error) {
	p, err = p.withDefaults()
	if err = cmp.Or(err, p.checkPeriod()); err != nil {
		return time.Time{}, false, err
	}
	if r == nil || len(r.keys) == 0 {
		return time.Time{}, false, errors.New("keyring: the ring has no keys; make one with: carryon keys init FILE")
	}
	if p.Period < 0 {
		return time.Time{}, false, nil
	}
	at = r.keys[len(r.keys)-1].active.Add(p.Period - p.ActivateIn)
	return at, !now.Before(at) && r.staged(now) == nil, nil
}

// CheckLifetime returns an [OverlapError] if a key expires before the last
// session that it may have sealed, for sessions that live up to lifetime.
// Those users would be logged out early. CheckLifetime is a pure function of
// the ring and the time. It ignores expired keys and keys without an expiry,
// such as the newest key, whose expiry the next rotation sets; see [Policy].
func (r *Ring) CheckLifetime(now time.Time, lifetime time.Duration) error {
	for _, k := range r.Keys() {
		if e := k.overlapError(now, lifetime); e != nil {
			return e
		}
	}
	return nil
}

// overlapError returns nil for a key that outlives the sessions it sealed. It
// also returns nil for an expired key, because its expiry can no longer be
// corrected.
func (k *Key) overlapError(now time.Time, lifetime time.Duration) *OverlapError {
	if lifetime <= 0 || k.expires.IsZero() || k.retires.IsZero() || k.State(now) == Expired {
		return nil
	}
	if overlap := k.expires.Sub(k.retires); overlap < lifetime {
		return &OverlapError{k.id, overlap, lifetime}
	}
	return nil
}
