package keyring

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// A Change says what a new ring has that the old one had not.
type Change struct {
	Added    *Key   // the new key, or nil
	Promoted *Key   // the staged key whose activation was moved to now, or nil
	Retires  *Key   // the key that Added or Promoted succeeds, with its new times, or nil
	Died     []Dead // keys that are gone, only their ids are remembered
	Forgot   []Dead // ids that are no longer remembered
}

// StagedError is returned by [Ring.Rotate] if a key is still staged.
type StagedError struct {
	ID        ID        // the key that waits
	Activates time.Time // when it becomes active; from then on rotating is safe
}

// Error says when to try again.
func (e *StagedError) Error() string {
	return fmt.Sprintf("keyring: key %v is staged until %s; rotate after that", e.ID, e.Activates.Format(time.RFC3339))
}

// Rotate returns a ring with a new, staged key. When that becomes active, the
// key before it retires, and it expires after the overlap. Expired keys are
// pruned on the way, so that a program that does nothing but rotate keeps a
// small ring. r itself stays as it is. If a key is still staged, the error is
// a *[StagedError].
func (r *Ring) Rotate(now time.Time, p Policy) (*Ring, Change, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, Change{}, err
	}
	pruned, change, err := r.Prune(now)
	if err != nil {
		return nil, Change{}, err
	}
	if k := pruned.staged(now); k != nil && !p.AllowStaged {
		return nil, Change{}, &StagedError{k.id, k.active}
	}
	active := pruned.activation(now, p.ActivateIn)
	format := cmp.Or(p.Format, pruned.keys[len(pruned.keys)-1].format)
	added := newKey(now.UTC().Truncate(time.Second), active, format, pruned)
	next, err := pruned.insert(added, p.Overlap)
	if err != nil {
		return nil, Change{}, err
	}
	change.Added = added
	change.settle(next)
	return next, change, nil
}

// settle points a change at the keys as they are in the new ring.
func (c *Change) settle(next *Ring) {
	for _, k := range []**Key{&c.Added, &c.Promoted} {
		if *k != nil {
			*k = next.index[(*k).id].key
			c.Retires = next.predecessor(*k)
		}
	}
}

// insert adds a key and lets the one that thereby gets its first successor
// expire: the key before it or, when it was put before staged ones, itself.
func (r *Ring) insert(added *Key, overlap time.Duration) (*Ring, error) {
	next, err := newRing(append(r.Keys(), added), r.dead)
	if err != nil {
		return nil, err
	}
	for _, k := range next.keys {
		fresh := k.id == added.id || next.successor(k) == next.index[added.id].key
		if fresh && k.expires.IsZero() && !k.retires.IsZero() && overlap > 0 {
			k.expires = wholeSecond(k.retires.Add(overlap))
		}
	}
	return newRing(next.keys, next.dead)
}

// Prune returns a ring without the keys that have expired. Their ids are
// remembered as dead for 402 days; ids that died before that are forgotten.
// r itself stays as it is. It fails only for an empty ring.
func (r *Ring) Prune(now time.Time) (*Ring, Change, error) {
	var change Change
	var keys []*Key
	for _, k := range r.Keys() {
		if k.State(now) == Expired {
			change.Died = append(change.Died, Dead{k.id, Expired, k.expires})
			continue
		}
		keys = append(keys, k)
	}
	dead, forgot := forget(append(r.Dead(), change.Died...), now)
	change.Forgot = forgot
	next, err := newRing(keys, dead)
	if err != nil {
		return nil, Change{}, err
	}
	return next, change, nil
}

// forget splits off the ids that no browser can bring any more and, should
// there be too many, those that died first.
func forget(dead []Dead, now time.Time) (kept, gone []Dead) {
	sort.Sort(byDeath(dead))
	n := 0
	for n < len(dead) && (now.Sub(dead[n].At) > remembered || len(dead)-n > MaxDead) {
		n++
	}
	return dead[n:], dead[:n]
}

// Revoke returns a ring in which the key is dead at once: what it sealed is
// worth nothing from then on, and those visitors are logged out. It is for a
// key that leaked. If it was the active one, the next staged key becomes
// active now, before its time or, if there is none, a new key does; a replica
// that has not seen the new ring cannot open what that key seals until it has.
// If the whole ring leaked, make a new ring instead. r itself stays as it is.
// It fails if the ring has no such key.
func (r *Ring) Revoke(id ID, now time.Time) (*Ring, Change, error) {
	pruned, change, err := r.Prune(now)
	if err != nil {
		return nil, Change{}, err
	}
	victim := pruned.index[id].key
	if victim == nil {
		return nil, Change{}, pruned.notRevoked(id)
	}
	died := Dead{id, Revoked, now.UTC().Truncate(time.Second)}
	keys := without(pruned.keys, victim)
	if victim.State(now) == Active {
		keys = pruned.succeed(keys, victim, now, &change)
	}
	dead, forgot := forget(append(pruned.Dead(), died), now)
	change.Died, change.Forgot = append(change.Died, died), append(change.Forgot, forgot...)
	next, err := pruned.close(keys, dead, victim)
	if err != nil {
		return nil, Change{}, err
	}
	change.settle(next)
	return next, change, nil
}

// notRevoked says why a key that the ring does not have cannot be revoked.
func (r *Ring) notRevoked(id ID) error {
	for _, d := range r.dead {
		switch {
		case d.ID != id:
		case d.State == Revoked:
			return fmt.Errorf("keyring: key %v was revoked already, at %s", id, d.At.Format(time.RFC3339))
		default:
			return fmt.Errorf("keyring: key %v expired at %s; what it sealed is void already", id, d.At.Format(time.RFC3339))
		}
	}
	return fmt.Errorf("keyring: the ring has no key %v", id)
}

// succeed finds an heir for an active key that is revoked. An older key must
// not do: what has retired never seals again. The heir takes the victim's place
// in the schedule, its activation: so every replica that has the ring seals with
// it, and the keys before it stay retired, however wrong the replica's clock.
func (r *Ring) succeed(keys []*Key, victim *Key, now time.Time, change *Change) []*Key {
	at := victim.active
	for activates(keys, at) {
		at = at.Add(time.Second) // or chance, by the ids, would order the two
	}
	heir := r.successor(victim)
	if heir == nil {
		change.Added = newKey(now.UTC().Truncate(time.Second), at, victim.format, r)
		return append(keys, change.Added)
	}
	promoted := *heir
	promoted.active = at
	change.Promoted = &promoted
	return append(without(keys, heir), &promoted)
}

// activation returns when a key that is added now becomes active: after the
// delay, and on a machine whose clock is behind after the delay counted from
// the activation of the newest key that is not staged, which it would otherwise
// be put before.
func (r *Ring) activation(now time.Time, delay time.Duration) time.Time {
	at := now
	for _, k := range r.keys {
		if k.State(now) != Staged && at.Before(k.active) {
			at = k.active
		}
	}
	if at = at.Add(delay); delay > 0 {
		at = wholeSecond(at)
	} else {
		at = at.UTC().Truncate(time.Second)
	}
	for activates(r.keys, at) {
		at = at.Add(time.Second)
	}
	return at
}

// close makes a ring of the keys that are left, and closes the gap: the key
// before the victim keeps its overlap, counted from the key that now follows
// it, or loses its expiry if none does.
func (r *Ring) close(keys []*Key, dead []Dead, victim *Key) (*Ring, error) {
	before := r.predecessor(victim)
	if before == nil || before.expires.IsZero() {
		return newRing(keys, dead)
	}
	open := *before
	open.expires = time.Time{}
	next, err := newRing(append(without(keys, before), &open), dead)
	if err != nil {
		return nil, err
	}
	if k := next.index[before.id].key; !k.retires.IsZero() {
		k.expires = k.retires.Add(before.expires.Sub(victim.active))
	}
	return newRing(next.keys, next.dead)
}

func without(keys []*Key, k *Key) []*Key {
	return slices.DeleteFunc(slices.Clone(keys), func(other *Key) bool { return other == k })
}

// activates reports whether a key becomes active at exactly that time.
func activates(keys []*Key, at time.Time) bool {
	return slices.ContainsFunc(keys, func(k *Key) bool { return k.active.Equal(at) })
}

// staged returns the first staged key, or nil.
func (r *Ring) staged(now time.Time) *Key {
	for _, k := range r.keys {
		if k.State(now) == Staged {
			return k
		}
	}
	return nil
}

func (r *Ring) successor(k *Key) *Key   { return r.neighbour(k, 1) }
func (r *Ring) predecessor(k *Key) *Key { return r.neighbour(k, -1) }

func (r *Ring) neighbour(k *Key, step int) *Key {
	i := slices.Index(r.keys, k) + step
	if i < 0 || i >= len(r.keys) {
		return nil
	}
	return r.keys[i]
}
