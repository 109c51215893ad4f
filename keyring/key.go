package keyring

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	secretSize = 32
	// format1 is the sealed form of SPEC.md: XAES-256-GCM, then HMAC-SHA-256.
	format1 = 1
	idInfo  = "carryon key id"
)

// An ID names a key without revealing it: four bytes that HKDF-SHA-256
// derives from the secret. It travels in clear text in every cookie.
type ID [4]byte

// String returns the eight lower-case hexadecimal digits of the id.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what [ID.String] writes: exactly eight lower-case
// hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("keyring: a key id is 8 lower-case hexadecimal digits, not %d characters", len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || id.String() != s {
		return ID{}, fmt.Errorf("keyring: a key id is 8 lower-case hexadecimal digits")
	}
	return id, nil
}

// material is what the copies of one key share: the secret, and what was
// derived from it.
type material struct {
	secret [secretSize]byte

	// A list that is copied to be changed, for it has two or three entries
	// and is read for every cookie: a sync.Map takes eight times as long.
	memo atomic.Pointer[[]derived]
	mu   sync.Mutex // held to replace memo
}

type derived struct{ slot, value any }

func (m *material) find(slot any) (value any, ok bool) {
	if list := m.memo.Load(); list != nil {
		for _, d := range *list {
			if d.slot == slot {
				return d.value, true
			}
		}
	}
	return nil, false
}

// keep returns the value that came first.
func (m *material) keep(slot, value any) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, ok := m.find(slot); ok {
		return first
	}
	list := []derived{{slot, value}}
	if old := m.memo.Load(); old != nil {
		list = append(list, *old...)
	}
	m.memo.Store(&list)
	return value
}

// hide puts the material behind a closure: reflection finds an address where a
// pointer would lead some formatting verbs (%c), and all dumpers, to the secret.
func hide(m *material) func() *material { return func() *material { return m } }

func (m *material) derive(salt []byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, m.secret[:], salt, info, n)
	if err != nil {
		panic("keyring: derive at most 8160 bytes from a key") // RFC 5869: 255 times the hash
	}
	return out
}

func (m *material) id() (id ID) {
	copy(id[:], m.derive(nil, idInfo, len(id)))
	return id
}

// A Key is one key of a [Ring]. It never changes, and every method is safe for
// concurrent use. Its secret does not leave this package, except as derived
// keys ([Key.Derived]) and in [Ring.Marshal].
type Key struct {
	id      ID
	mat     func() *material
	format  byte
	created time.Time
	active  time.Time
	retires time.Time // when the successor becomes active; zero: no successor
	expires time.Time // zero: open-ended
	first   bool      // no other key of the ring comes before it
}

// ID returns the id that cookies sealed by the key carry.
func (k *Key) ID() ID { return k.id }

// Format returns the sealed form that the key seals and opens, a number of
// SPEC.md. It is a property of the key: a cookie cannot choose it.
func (k *Key) Format() byte { return k.format }

// Created returns when the key was made. It is for people and for
// [Ring.CheckNext], the state does not depend on it.
func (k *Key) Created() time.Time { return k.created }

// Activates returns when the key begins to seal.
func (k *Key) Activates() time.Time { return k.active }

// Retires returns when the key stops to seal, which is when its successor
// becomes active. It is zero for the newest key of a ring.
func (k *Key) Retires() time.Time { return k.retires }

// Expires returns when the key stops to open. It is zero as long as that is
// not decided, as for the newest key of a ring.
func (k *Key) Expires() time.Time { return k.expires }

// State returns what the key is for at the time now. It is a pure function of
// now and of the times in the ring, so all replicas agree as far as their
// clocks do; with time it only moves forward. It is one of [Staged],
// [Active], [Retired] and [Expired].
func (k *Key) State(now time.Time) State {
	switch {
	case !k.expires.IsZero() && !now.Before(k.expires):
		return Expired
	case !k.retires.IsZero() && !now.Before(k.retires):
		return Retired
	case k.first || !now.Before(k.active):
		return Active
	}
	return Staged
}

// Derived returns build's result for the slot, which is made once per key and
// then kept for as long as the key lives. The slot is a comparable value that
// only the caller can make, as with [context.WithValue]. build gets derive,
// HKDF-SHA-256 of the secret with the given salt and info, for n bytes (at
// most 8160), and must be a pure function of it: in a race it can run twice,
// and all callers get the result of one of the runs.
func (k *Key) Derived(slot any, build func(derive func(salt []byte, info string, n int) []byte) any) any {
	m := k.mat()
	if v, ok := m.find(slot); ok {
		return v
	}
	return m.keep(slot, build(m.derive))
}

// before orders keys by activation; the id breaks a tie.
func (k *Key) before(other *Key) int {
	if c := k.active.Compare(other.active); c != 0 {
		return c
	}
	return bytes.Compare(k.id[:], other.id[:])
}
