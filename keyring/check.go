package keyring

import (
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/span"
)

// A Problem is a finding of [Ring.Check] or [Ring.CheckNext].
type Problem struct {
	ID    ID        // the key concerned
	Loses bool      // visitors lose their sessions; otherwise the problem is a warning
	Safe  time.Time // when the step becomes safe; zero if waiting does not help
	Text  string    // a sentence that begins with the key; contains no secret
}

// String returns the text, and when the step becomes safe.
func (p Problem) String() string {
	if p.Safe.IsZero() {
		return p.Text
	}
	return fmt.Sprintf("%s; safe from %s on", p.Text, p.Safe.UTC().Format(time.RFC3339))
}

// inspection collects the problems of a ring at one time.
type inspection struct {
	now   time.Time
	p     Policy
	found []Problem
}

func (c *inspection) loses(k *Key, safe time.Time, format string, args ...any) {
	c.found = append(c.found, Problem{k.id, true, safe, "key " + k.id.String() + " " + fmt.Sprintf(format, args...)})
}

func (c *inspection) warn(k *Key, format string, args ...any) {
	c.found = append(c.found, Problem{ID: k.id, Text: "key " + k.id.String() + " " + fmt.Sprintf(format, args...)})
}

// Check reports problems of a valid ring, present and future: keys that seal
// before every replica has them, keys that expire before their sessions do, an
// overdue rotation, or a wrong clock. It uses ActivateIn and Lifetime of the
// policy, and Period if it is set. Check is a pure function of the ring and
// the time. It returns an error if no ring could satisfy the policy.
func (r *Ring) Check(now time.Time, p Policy) ([]Problem, error) {
	asked := p.Period
	p, err := p.withDefaults()
	if err == nil && asked > 0 {
		err = p.checkPeriod()
	}
	if err != nil {
		return nil, err
	}
	p.Period = asked
	c := &inspection{now: now, p: p}
	for _, k := range r.Keys() {
		c.schedule(k)
		c.end(k)
	}
	if n := len(r.Keys()); n > MaxKeys*3/4 {
		c.warn(r.keys[n-1], "is one of %d, and a ring holds at most %d; rotate less often or shorten the overlap", n, MaxKeys)
	}
	return c.found, nil
}

// schedule checks when a key starts to seal, and for how long it does.
func (c *inspection) schedule(k *Key) {
	since := later(k.active, k.created)
	switch state := k.State(c.now); {
	case state == Staged && k.active.Sub(k.created) < c.p.ActivateIn:
		c.loses(k, time.Time{}, "is staged for %s, less than the %s that servers may take to see it; they cannot open what it seals until then",
			span.String(k.active.Sub(k.created)), span.String(c.p.ActivateIn))
	case state == Active && k.first && c.now.Before(k.active):
		c.warn(k, "becomes active at %s and seals already, as there is no other; is the clock right?", k.active.Format(time.RFC3339))
	case c.now.Before(k.created.Add(-c.p.ActivateIn)):
		c.warn(k, "was made at %s, which has not come yet; is the clock right?", k.created.Format(time.RFC3339))
	case state == Active && c.now.Sub(since) > MaxPeriod:
		c.warn(k, "seals for more than two years; rotate")
	case state == Active && c.p.Period > 0 && k.retires.IsZero() && c.now.Sub(since) > c.p.Period:
		c.warn(k, "should have retired at %s; is the job that rotates still running?", since.Add(c.p.Period).Format(time.RFC3339))
	}
}

// end checks when a key stops opening.
func (c *inspection) end(k *Key) {
	switch e := k.overlapError(c.now, c.p.Lifetime); {
	case k.State(c.now) == Expired:
		c.warn(k, "has expired; remove it with: carryon keys prune FILE")
	case e != nil:
		c.loses(k, time.Time{}, "opens for only %s after it has retired, less than the longest lifetime of a session, %s", span.String(e.Overlap), span.String(e.Least))
	case k.expires.IsZero() && !k.retires.IsZero():
		c.warn(k, "opens for ever after it has retired")
	}
}

// CheckNext reports what would go wrong if next replaced r now: the problems
// that [Ring.Check] finds in next, the loss of keys that still open, and keys
// that would seal before every replica knows them. CheckNext assumes that all
// replicas follow within the policy's ActivateIn.
func (r *Ring) CheckNext(next *Ring, now time.Time, p Policy) ([]Problem, error) {
	list, err := next.Check(now, p)
	if err != nil {
		return nil, err
	}
	p, _ = p.withDefaults() // Check has validated the policy
	c := &inspection{now: now, p: p}
	for _, k := range r.Keys() {
		if k.State(now).Opens() {
			c.checkOld(k, next)
		}
	}
	for _, k := range next.Keys() {
		c.checkNew(k, r)
	}
	return append(c.found, list...), nil
}

// checkOld checks what happens to a key of the old ring.
func (c *inspection) checkOld(old *Key, next *Ring) {
	state := old.State(c.now)
	safe := old.safe(c.p)
	harmless := state == Retired && !safe.IsZero() && !c.now.Before(safe) || // its sessions have ended
		state == Staged && old.active.Sub(c.now) >= c.p.ActivateIn // all replicas drop it before it seals
	switch e := next.find(old.id); {
	case e.key != nil && e.key.State(c.now) == Expired && !harmless:
		c.loses(old, safe, "is %v and would expire at once: what it sealed is void", state)
	case e.key != nil && state == Retired && e.key.State(c.now) == Active:
		c.warn(old, "has retired and would seal again")
	case e.key != nil || harmless:
	case e.dead == Unknown:
		c.loses(old, safe, "is %v and would be missing: sessions that it sealed are not recognised", state)
	default:
		c.loses(old, safe, "is %v and would be %v: what it sealed is void", state, e.dead)
	}
}

// safe returns when the key can be removed without loss, or zero.
func (k *Key) safe(p Policy) time.Time {
	if k.retires.IsZero() || p.Lifetime <= 0 {
		return k.expires
	}
	ended := k.retires.Add(p.Lifetime + p.ActivateIn) // end of the last session that the key sealed
	if k.expires.IsZero() || ended.Before(k.expires) {
		return ended
	}
	return k.expires
}

// checkNew checks whether a key of the new ring would seal before every
// replica has it. A key of the old ring was published when it was made.
func (c *inspection) checkNew(k *Key, old *Ring) {
	was, begins, since := old.find(k.id), later(k.active, c.now), c.now
	state := k.State(c.now)
	if was.dead != Unknown {
		c.loses(k, time.Time{}, "is %v in the old ring and would come back; servers that have that ring remove its cookies", was.dead)
		return
	}
	if state == Active {
		begins = c.now // the first key of a ring is active at once
	}
	if was.key != nil {
		since = was.key.created
	}
	known := since.Add(c.p.ActivateIn)
	seals := state == Active || state == Staged
	sealed := was.key != nil && was.key.State(c.now) != Staged
	switch {
	case !seals || sealed || !begins.Before(known):
	case was.key == nil:
		c.loses(k, time.Time{}, "is new and would seal from %s on; servers take up to %s to see it, so let it become active at %s or later",
			begins.UTC().Format(time.RFC3339), span.String(c.p.ActivateIn), wholeSecond(known).Format(time.RFC3339))
	case state == Active || k.active.Before(was.key.active): // otherwise Check reports it
		c.loses(k, known, "would seal from %s on, and servers may take until %s to see it",
			begins.UTC().Format(time.RFC3339), known.Format(time.RFC3339))
	}
}

func (r *Ring) find(id ID) entry {
	if r == nil {
		return entry{}
	}
	return r.index[id]
}

// lost returns the keys of r that may still open and that next does not list.
// If there are any, next is older than r, or someone edited it.
func (r *Ring) lost(next *Ring, now time.Time) (ids []ID) {
	for _, k := range r.Keys() {
		if k.State(now).Opens() && next.find(k.id) == (entry{}) {
			ids = append(ids, k.id)
		}
	}
	return ids
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
