package keyring

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// A Change is the difference between an old ring and a new one.
type Change struct {
	Added    *Key   // the new key, or nil
	Promoted *Key   // the staged key that became active early, or nil
	Retires  *Key   // the predecessor of Added or Promoted, with its new times, or nil
	Died     []Dead // keys that are gone; only their ids are remembered
	Forgot   []Dead // ids that are no longer remembered
}

// A StagedError is returned by [Ring.Rotate] if a key is still staged.
type StagedError struct {
	ID        ID        // the staged key
	Activates time.Time // when it becomes active, and rotation is safe
}

// Error returns when to try again.
func (e *StagedError) Error() string {
	return fmt.Sprintf("keyring: key %v is staged until %s; rotate after that", e.ID, e.Activates.Format(time.RFC3339))
}

// Rotate returns a ring with a new, staged key. When that key becomes active,
// its predecessor retires; the predecessor expires after the overlap. Rotate
// also prunes expired keys, so that a program which only rotates keeps a small
// ring. r is unchanged. If a key is still staged, the error is a
// *[StagedError].
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
	change.resolve(next)
	return next, change, nil
}

// resolve replaces the keys of a change by the copies in the new ring.
func (c *Change) resolve(next *Ring) {
	for _, k := range []**Key{&c.Added, &c.Promoted} {
		if *k != nil {
			*k = next.index[(*k).id].key
			c.Retires = next.predecessor(*k)
		}
	}
}

// insert adds a key and sets the expiry of the key that thereby gets its first
// successor. That is the previous key, or the added key itself if staged keys
// follow it.
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

// Prune returns a ring without expired keys. It remembers their ids as dead
// for 402 days and then forgets them. r is unchanged. Prune fails only for an
// empty ring.
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

// forget removes the ids that no browser can send any more. If there are still
// too many, it removes the oldest.
func forget(dead []Dead, now time.Time) (kept, gone []Dead) {
	sort.Sort(byDeath(dead))
	n := 0
	for n < len(dead) && (now.Sub(dead[n].At) > remembered || len(dead)-n > MaxDead) {
		n++
	}
	return dead[n:], dead[:n]
}

// Revoke returns a ring in which the key is dead at once. Everything that the
// key sealed is void, and those users are logged out. Use it for a key that
// leaked; if the whole ring leaked, make a new ring instead. If the key was
// active, the next staged key becomes active now, or a new key if none is
// staged. A replica cannot open what that key seals until it has the new ring.
// r is unchanged. Revoke fails if the ring has no such key.
func (r *Ring) Revoke(id ID, now time.Time) (*Ring, Change, error) {
	pruned, change, err := r.Prune(now)
	if err != nil {
		return nil, Change{}, err
	}
	revoked := pruned.index[id].key
	if revoked == nil {
		return nil, Change{}, pruned.notRevoked(id)
	}
	died := Dead{id, Revoked, now.UTC().Truncate(time.Second)}
	keys := without(pruned.keys, revoked)
	if revoked.State(now) == Active {
		keys = pruned.replaceActive(keys, revoked, now, &change)
	}
	dead, forgot := forget(append(pruned.Dead(), died), now)
	change.Died, change.Forgot = append(change.Died, died), append(change.Forgot, forgot...)
	next, err := pruned.newWithout(keys, dead, revoked)
	if err != nil {
		return nil, Change{}, err
	}
	change.resolve(next)
	return next, change, nil
}

// notRevoked returns why a key that is not in the ring cannot be revoked.
func (r *Ring) notRevoked(id ID) error {
	for _, d := range r.dead {
		switch {
		case d.ID != id:
		case d.State == Revoked:
			return fmt.Errorf("keyring: key %v was already revoked at %s", id, d.At.Format(time.RFC3339))
		default:
			return fmt.Errorf("keyring: key %v expired at %s; what it sealed is already void", id, d.At.Format(time.RFC3339))
		}
	}
	return fmt.Errorf("keyring: the ring has no key %v", id)
}

// replaceActive provides a new active key when the active key is revoked. An
// older key must not take over, because a retired key never seals again. The
// replacement gets the activation time of the revoked key. So every replica
// that has the ring seals with it, and older keys stay retired, even if the
// replica's clock is wrong.
func (r *Ring) replaceActive(keys []*Key, revoked *Key, now time.Time, change *Change) []*Key {
	at := revoked.active
	for activates(keys, at) {
		at = at.Add(time.Second) // two keys with equal activation would be ordered by id, at random
	}
	replacement := r.successor(revoked)
	if replacement == nil {
		change.Added = newKey(now.UTC().Truncate(time.Second), at, revoked.format, r)
		return append(keys, change.Added)
	}
	promoted := *replacement
	promoted.active = at
	change.Promoted = &promoted
	return append(without(keys, replacement), &promoted)
}

// activation returns when a key that is added now becomes active: after the
// delay. If this machine's clock is slow, the delay starts at the activation
// of the newest key that is not staged, so that the new key is sorted after
// that key.
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

// newWithout makes a ring of the remaining keys and closes the gap that the
// revoked key leaves. The key before the gap keeps its overlap, counted from
// the activation of its new successor. Without a successor it loses its
// expiry.
func (r *Ring) newWithout(keys []*Key, dead []Dead, revoked *Key) (*Ring, error) {
	before := r.predecessor(revoked)
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
		k.expires = k.retires.Add(before.expires.Sub(revoked.active))
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
