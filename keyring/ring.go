package keyring

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// The limits of a ring. [Parse] refuses a ring that exceeds them.
const (
	MaxSize = 64 << 10 // bytes of the JSON text
	MaxKeys = 256      // keys in any state
	MaxDead = 512      // ids of dead keys
)

// A Provider returns the ring to use now. Ring must be safe for concurrent use
// and quick, because every request that needs a key calls it. Ring returns nil
// only if there never was a ring. A *[Ring] and *[Keys] are providers.
type Provider interface {
	Ring(ctx context.Context) *Ring
}

// A Ring is an immutable set of keys with a schedule. [Ring.Rotate],
// [Ring.Prune] and [Ring.Revoke] return a new ring. All methods are safe for
// concurrent use. A nil Ring has no keys.
type Ring struct {
	keys      []*Key // sorted by activation, then id
	dead      []Dead // sorted by time, then id
	index     map[ID]entry
	ephemeral bool // no other process has this ring, so an unknown id is dead
}

// entry is what the ring knows about an id: its key, or how the key died.
type entry struct {
	key  *Key
	dead State
}

// Dead is the record of a key that is gone. With it the ring can clear that
// key's cookies, instead of treating the key as one that is yet to arrive.
type Dead struct {
	ID    ID
	State State     // Expired or Revoked
	At    time.Time // when it died
}

// Ring returns r itself: a ring is its own fixed [Provider].
func (r *Ring) Ring(context.Context) *Ring { return r }

// Active returns the key that seals at the time now. A ring from [Parse] or
// [Generate] has exactly one active key at any time: the key with the latest
// activation not after now. Before all activations, the first key of the ring
// is active. For a nil or zero Ring, Active returns nil.
func (r *Ring) Active(now time.Time) *Key {
	if r == nil || len(r.keys) == 0 {
		return nil
	}
	for i := len(r.keys) - 1; i > 0; i-- {
		if !now.Before(r.keys[i].active) {
			return r.keys[i]
		}
	}
	return r.keys[0]
}

// Find returns the key with the given id, and its state at the time now. The
// key is nil unless it may open a cookie ([State.Opens]). The state is
// [Unknown] if the ring does not list the id.
func (r *Ring) Find(id ID, now time.Time) (*Key, State) {
	if r == nil {
		return nil, Unknown
	}
	e := r.index[id]
	if e.key == nil && e.dead == Unknown && r.ephemeral {
		return nil, Expired
	}
	if e.key == nil {
		return nil, e.dead
	}
	if s := e.key.State(now); s.Opens() {
		return e.key, s
	}
	return nil, Expired
}

// Keys returns all keys, sorted by activation, oldest first. Expired keys are
// included until [Ring.Prune] removes them.
func (r *Ring) Keys() []*Key {
	if r == nil {
		return nil
	}
	return slices.Clone(r.keys)
}

// Dead returns the records of keys that are gone, oldest first.
func (r *Ring) Dead() []Dead {
	if r == nil {
		return nil
	}
	return slices.Clone(r.dead)
}

// Fingerprint returns a hash over the ids, formats and times of the ring, as
// 16 hexadecimal digits. Replicas with the same fingerprint have the same keys
// and the same schedule. A fingerprint reveals nothing about the secrets.
func (r *Ring) Fingerprint() string {
	b := []byte("carryon ring fingerprint")
	for _, k := range r.Keys() {
		b = append(append(b, 'k'), k.id[:]...)
		b = append(b, k.format)
		b = appendTimes(b, k.created, k.active, k.expires)
	}
	for _, d := range r.Dead() {
		b = append(append(b, 'd'), d.ID[:]...)
		b = append(b, byte(d.State))
		b = appendTimes(b, d.At)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func appendTimes(b []byte, times ...time.Time) []byte {
	for _, t := range times {
		seconds := int64(0) // no expiry
		if !t.IsZero() {
			seconds = t.Unix()
		}
		b = binary.BigEndian.AppendUint64(b, uint64(seconds))
	}
	return b
}

// newRing sorts copies of the keys, sets the retirement of each key, and
// checks the rules that concern more than one key.
func newRing(keys []*Key, dead []Dead) (*Ring, error) {
	r := &Ring{dead: slices.Clone(dead), index: make(map[ID]entry, len(keys)+len(dead))}
	for _, k := range keys {
		own := *k
		r.keys = append(r.keys, &own)
	}
	slices.SortFunc(r.keys, (*Key).before)
	sort.Sort(byDeath(r.dead))
	if err := cmp.Or(r.checkBounds(), r.checkTimes(), r.link(), r.remember()); err != nil {
		return nil, err
	}
	return r, nil
}

// byDeath sorts by time, then id. It implements sort.Interface because an
// instance of slices.SortFunc for this type ephemeral would add 15 KB to every
// program.
type byDeath []Dead

func (d byDeath) Len() int      { return len(d) }
func (d byDeath) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d byDeath) Less(i, j int) bool {
	if c := d[i].At.Compare(d[j].At); c != 0 {
		return c < 0
	}
	return bytes.Compare(d[i].ID[:], d[j].ID[:]) < 0
}

func (r *Ring) checkBounds() error {
	switch {
	case len(r.keys) == 0:
		return errors.New("keyring: the ring has no keys; make one with: carryon keys init FILE")
	case len(r.keys) > MaxKeys:
		return fmt.Errorf("keyring: the ring has %d keys, at most %d are allowed; remove expired ones with: carryon keys prune FILE", len(r.keys), MaxKeys)
	case len(r.dead) > MaxDead:
		return fmt.Errorf("keyring: the ring remembers %d dead keys, at most %d are allowed; remove the oldest", len(r.dead), MaxDead)
	}
	return nil
}

// checkTimes refuses times that the JSON form cannot hold.
func (r *Ring) checkTimes() error {
	var times []time.Time
	for _, k := range r.keys {
		times = append(times, k.created, k.active)
		if !k.expires.IsZero() {
			times = append(times, k.expires)
		}
	}
	for _, d := range r.dead {
		times = append(times, d.At)
	}
	for _, t := range times {
		if !validTime(t) {
			return errors.New("keyring: a time of the ring is not between the years 1970 and 9999; check the clock")
		}
	}
	return nil
}

// link sets the fields that depend on a key's neighbours. Exactly one key is
// active at any time because no key expires before its successor is active,
// and because the newest key does not expire.
func (r *Ring) link() error {
	for i, k := range r.keys {
		k.first, k.retires = i == 0, time.Time{}
		if i+1 == len(r.keys) {
			if !k.expires.IsZero() {
				return fmt.Errorf("keyring: the newest key, %v, must not expire, because no key could seal after that; rotate first, which sets its expiry", k.id)
			}
			continue
		}
		k.retires = r.keys[i+1].active
		if !k.expires.IsZero() && k.expires.Before(k.retires) {
			return fmt.Errorf("keyring: key %v expires before its successor, %v, becomes active; no key could seal in between", k.id, r.keys[i+1].id)
		}
	}
	return nil
}

func (r *Ring) remember() error {
	for _, k := range r.keys {
		if _, twice := r.index[k.id]; twice {
			return fmt.Errorf("keyring: key %v is in the ring twice", k.id)
		}
		r.index[k.id] = entry{key: k}
	}
	for _, d := range r.dead {
		if _, twice := r.index[d.ID]; twice {
			return fmt.Errorf("keyring: key %v is listed as dead and also a second time; a dead key cannot come back", d.ID)
		}
		r.index[d.ID] = entry{dead: d.State}
	}
	return nil
}
