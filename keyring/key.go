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

// An ID identifies a key without revealing it. It consists of four bytes that
// HKDF-SHA-256 derives from the secret. Every cookie carries it in clear text.
type ID [4]byte

// String returns the eight lower-case hexadecimal digits of the id.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID parses the form that [ID.String] returns: exactly eight lower-case
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

// material is what all copies of a key share: the secret and the values
// derived from it.
type material struct {
	secret [secretSize]byte

	// The list is copied on write. It has two or three entries and is read for
	// every cookie; a sync.Map takes eight times as long.
	memo atomic.Pointer[[]derived]
	mu   sync.Mutex // held while memo is replaced
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

// keep stores the value, unless the slot already has one, and returns the
// stored value.
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

// hide wraps the material in a closure. Some formatting verbs (%c) and all
// dumpers follow a pointer to the secret; for a closure they print only an
// address.
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

// A Key is one key of a [Ring]. It is immutable, and every method is safe for
// concurrent use. Its secret leaves this package only as derived keys
// ([Key.Derived]) and in [Ring.Marshal].
type Key struct {
	id      ID
	mat     func() *material
	format  byte
	created time.Time
	active  time.Time
	retires time.Time // when the successor becomes active; zero: there is none
	expires time.Time // zero: not decided or never
	first   bool      // this is the first key of the ring
}

// ID returns the id that cookies sealed by this key carry.
func (k *Key) ID() ID { return k.id }

// Format returns the number of the key's sealed form, as SPEC.md lists them.
// It is a property of the key: a cookie cannot choose it.
func (k *Key) Format() byte { return k.format }

// Created returns when the key was made. It is for display and for
// [Ring.CheckNext]; the state does not depend on it.
func (k *Key) Created() time.Time { return k.created }

// Activates returns when the key starts to seal.
func (k *Key) Activates() time.Time { return k.active }

// Retires returns when the key stops sealing because its successor becomes
// active. It is zero for the newest key of a ring.
func (k *Key) Retires() time.Time { return k.retires }

// Expires returns when the key stops opening. It is zero if no expiry is set,
// as for the newest key of a ring.
func (k *Key) Expires() time.Time { return k.expires }

// State returns the state of the key at the time now: [Staged], [Active],
// [Retired] or [Expired]. It is a pure function of now and of the times in the
// ring, so replicas agree as far as their clocks do. Over time it only moves
// forward.
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

// Derived returns the result of build for the slot. The result is computed
// once per key and kept as long as the key lives. The slot is a comparable
// value that only the caller can make, as with [context.WithValue]. build
// receives derive: HKDF-SHA-256 of the secret with the given salt and info,
// for n bytes (at most 8160). build must be a pure function of derive.
// Concurrent calls may run it twice; all callers get the result of one run.
func (k *Key) Derived(slot any, build func(derive func(salt []byte, info string, n int) []byte) any) any {
	m := k.mat()
	if v, ok := m.find(slot); ok {
		return v
	}
	return m.keep(slot, build(m.derive))
}

// before orders keys by activation, then by id.
func (k *Key) before(other *Key) int {
	if c := k.active.Compare(other.active); c != 0 {
		return c
	}
	return bytes.Compare(k.id[:], other.id[:])
}
