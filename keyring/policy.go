package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The defaults of a [Policy], and its upper bounds.
const (
	// DefaultPeriod is a month: the usual advice for keys that seal tokens.
	DefaultPeriod = 30 * 24 * time.Hour

	// DefaultActivateIn is longer than any replica should take to see a new
	// ring: a file is seen within a second, a function within a minute, and
	// a secret that a platform mounts or caches within some minutes.
	DefaultActivateIn = time.Hour

	// DefaultOverlap lets a session of 30 days, the usual "remember me", end
	// by itself, and leaves two days for late replicas and wrong clocks.
	DefaultOverlap = 32 * 24 * time.Hour

	// MaxPolicy bounds the time until activation and the overlap: browsers
	// keep no cookie longer than 400 days.
	MaxPolicy = 402 * 24 * time.Hour

	// MaxPeriod is the least that NIST SP 800-57 part 1 (5.3.6) gives for how
	// long a symmetric key may encrypt: at most two years.
	MaxPeriod = 2 * 365 * 24 * time.Hour

	// remembered is how long the id of a dead key is of use: for as long as a
	// browser may bring a cookie that it sealed.
	remembered = MaxPolicy
)

// A Policy says how [Ring.Rotate] schedules the keys, and what [Ring.Due],
// [Ring.Check] and [Ring.CheckNext] measure a ring against. No session is lost
// if ActivateIn is longer than the longest time that a replica goes on with an
// old ring, plus the largest difference between two clocks; and Overlap at
// least Lifetime plus ActivateIn.
type Policy struct {
	// Period is how long each key seals, from its activation to that of its
	// successor. Only [Ring.Due] asks for it. 0 means [DefaultPeriod], 30
	// days; negative means that rotation is never due; at least ActivateIn,
	// at most [MaxPeriod]. If it equals ActivateIn, a successor is always
	// staged, known to all replicas, should the active key have to be revoked.
	Period time.Duration

	// ActivateIn is the propagation delay: how long the new key is staged, so
	// that every replica has it before the first one seals with it. It must
	// exceed the time that the slowest replica takes to see the new ring, plus
	// the difference of the clocks. 0 means [DefaultActivateIn], 1 hour;
	// negative means at once; at most [MaxPolicy].
	ActivateIn time.Duration

	// Overlap is how long the retired key still opens after its successor
	// became active. It must be at least the longest lifetime of a session,
	// plus ActivateIn; a shorter one logs people out. 0 means
	// [DefaultOverlap], 32 days; negative means for ever, until it is
	// revoked; at most [MaxPolicy].
	Overlap time.Duration

	// Lifetime is the longest lifetime of a session. If it is given, an
	// Overlap that is too short for it is an [OverlapError]. 0 or less means
	// that it is not known, and nothing is compared with it.
	Lifetime time.Duration

	// Format is the sealed form of the new key, as in [Key.Format]; 0 means that of
	// the newest key of the ring. Before a key of another format is added, every
	// program that opens or seals with the ring must have it
	// (middleware.Config.Formats), or it refuses what the key seals.
	Format byte

	// AllowStaged lets Rotate add a key while another is still staged.
	// Replicas may then meet keys in an order that nobody planned.
	AllowStaged bool
}

// An OverlapError says that sessions outlive the key that sealed them.
type OverlapError struct {
	ID      ID            // the key of a ring; zero: it is a Policy
	Overlap time.Duration // how long the key opens after it has retired
	Least   time.Duration // how long it would have to
}

// Error says what would have to be longer.
func (e *OverlapError) Error() string {
	if e.ID == (ID{}) {
		return fmt.Sprintf("keyring: an overlap of %s logs people out: it must be at least %s, the longest lifetime of a session and the time until activation", inDays(e.Overlap), inDays(e.Least))
	}
	return fmt.Sprintf("keyring: key %v opens for only %s after it has retired, and sessions live for %s; give it a later \"expires\", or let sessions end earlier", e.ID, inDays(e.Overlap), inDays(e.Least))
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

// checkPeriod says why no ring could keep to the period.
func (p Policy) checkPeriod() error {
	switch {
	case p.Period < 0:
		return nil
	case p.Period > MaxPeriod:
		return fmt.Errorf("keyring: the period is at most %d days", MaxPeriod/(24*time.Hour))
	case p.Period < p.ActivateIn:
		return fmt.Errorf("keyring: the period, %s, is shorter than the time until activation, %s; a key would be due while another is staged", inDays(p.Period), inDays(p.ActivateIn))
	case p.Period == 0 || p.Overlap/p.Period+2 > MaxKeys:
		return fmt.Errorf("keyring: with a period of %s and an overlap of %s a ring would need more than %d keys; make the period longer or the overlap shorter", inDays(p.Period), inDays(p.Overlap), MaxKeys)
	}
	return nil
}

// Due returns when the ring should be rotated next, and whether that time has
// come: early enough for the new key to become active when the newest one has
// sealed for the period. While a key is staged no rotation is due. If the
// period is negative, it is never due, and at is zero. Like the states of the
// keys it is a pure function of the ring and the time: all callers get the same
// answer. So a program or a job that rotates when it is due can
// run at any time, and as often as it likes.
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

// CheckLifetime returns an [OverlapError] if a key of the ring that still opens
// dies before the last session ends that it may seal, when sessions live for up
// to lifetime: those visitors would be logged out before their time. It is a
// pure function of the ring and the time. Keys without an end pass, and so does
// the newest key, whose end the next rotation decides; see [Policy].
func (r *Ring) CheckLifetime(now time.Time, lifetime time.Duration) error {
	for _, k := range r.Keys() {
		if e := k.overlapError(now, lifetime); e != nil {
			return e
		}
	}
	return nil
}

// overlapError is nil for a key that outlives what it sealed. That it expired
// before a session could notice cannot be mended, so it is nil then, too.
func (k *Key) overlapError(now time.Time, lifetime time.Duration) *OverlapError {
	if lifetime <= 0 || k.expires.IsZero() || k.retires.IsZero() || k.State(now) == Expired {
		return nil
	}
	if overlap := k.expires.Sub(k.retires); overlap < lifetime {
		return &OverlapError{k.id, overlap, lifetime}
	}
	return nil
}

// inDays writes a length of time as people type it for the command: 32d, 32d2m,
// 36h, 1h30m.
func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	days := ""
	if d >= 2*day {
		days, d = strconv.FormatInt(int64(d/day), 10)+"d", d%day
	}
	if days != "" && d == 0 {
		return days
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return days + s
}
