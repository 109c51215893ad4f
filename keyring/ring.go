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

// The bounds of a ring. Parse refuses what exceeds them.
const (
	MaxSize = 64 << 10 // bytes of the JSON text
	MaxKeys = 256      // keys, whatever their state
	MaxDead = 512      // remembered ids of dead keys
)

// A Provider gives the ring to use now. It must be safe for concurrent use
// and quick: it is asked for every request that needs a key. A *[Ring] and
// *[Keys] are providers. It returns nil only if there never was a ring.
type Provider interface {
	Ring(ctx context.Context) *Ring
}

// A Refresher is a [Provider] that can look at its source again before its
// time. It is asked when a cookie carries an unknown key id, and returns the
// ring to use then. It must bound how often and how long it works: anyone can
// send an unknown id.
type Refresher interface {
	Refresh(ctx context.Context) *Ring
}

// A Ring is a set of keys with a schedule. It never changes: [Ring.Rotate],
// [Ring.Prune] and [Ring.Revoke] return another one. All methods are safe for
// concurrent use, and on a nil Ring, which has no keys.
type Ring struct {
	keys  []*Key // by activation, then id
	dead  []Dead // by time, then id
	index map[ID]entry
	alone bool // no other process has this ring: what it does not know is dead
}

// entry is where an id leads: to a key, or to the way in which it died.
type entry struct {
	key  *Key
	dead State
}

// Dead is what a ring remembers of a key that is gone, so that its cookies are
// cleared instead of being taken for those of a key yet to arrive.
type Dead struct {
	ID    ID
	State State     // Expired or Revoked
	At    time.Time // when it died
}

// Ring returns r itself: a ring is its own, static [Provider].
func (r *Ring) Ring(context.Context) *Ring { return r }

// Active returns the key that seals at the time now. A ring that [Parse] or
// [Generate] returned has exactly one at any time: the key with the latest
// activation that has come or, before all of them, the first key of the ring.
// A nil or zero Ring has none: Active returns nil.
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

// Find returns the key with the id, and its state at the time now. The key is
// nil unless it may open a cookie ([State.Opens]). The state is [Unknown] if
// the ring never heard of the id or has forgotten it.
func (r *Ring) Find(id ID, now time.Time) (*Key, State) {
	if r == nil {
		return nil, Unknown
	}
	e := r.index[id]
	if e.key == nil && e.dead == Unknown && r.alone {
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

// Keys returns the keys by activation, the oldest first, expired ones that
// were not pruned included.
func (r *Ring) Keys() []*Key {
	if r == nil {
		return nil
	}
	return slices.Clone(r.keys)
}

// Dead returns what the ring remembers of keys that are gone, the oldest first.
func (r *Ring) Dead() []Dead {
	if r == nil {
		return nil
	}
	return slices.Clone(r.dead)
}

// Fingerprint returns 16 hexadecimal digits, a hash over the ids, formats and
// times of the ring. Replicas that print the same one have the same keys and
// the same schedule. It reveals nothing of the secrets.
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

// newRing puts the keys in order, tells each when its successor takes over,
// and checks the rules that no key can check alone. It takes copies.
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

// byDeath sorts by time, then id. It is not a function for slices.SortFunc, for
// every program would link a copy of that for this type alone: 15 KB.
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

// checkTimes keeps out what the JSON form cannot hold.
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

// link fills in what a key learns from its neighbours. That no key expires
// before its successor is active, and that the newest does not expire, is
// what makes one active key exist at any time.
func (r *Ring) link() error {
	for i, k := range r.keys {
		k.first, k.retires = i == 0, time.Time{}
		if i+1 == len(r.keys) {
			if !k.expires.IsZero() {
				return fmt.Errorf("keyring: the newest key, %v, must not expire, or nothing could seal then; rotate first, which sets its expiry", k.id)
			}
			continue
		}
		k.retires = r.keys[i+1].active
		if !k.expires.IsZero() && k.expires.Before(k.retires) {
			return fmt.Errorf("keyring: key %v expires before its successor, %v, becomes active; nothing could seal in between", k.id, r.keys[i+1].id)
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
			return fmt.Errorf("keyring: key %v is listed as dead, and is also there a second time; a dead key cannot come back", d.ID)
		}
		r.index[d.ID] = entry{dead: d.State}
	}
	return nil
}
