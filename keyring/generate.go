package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// Generate makes a ring with one new key, which is active. now becomes its
// creation and activation time, without the fraction of a second. It fails
// only if now is not between the years 1970 and 9999.
func Generate(now time.Time) (*Ring, error) {
	now = now.UTC().Truncate(time.Second)
	return newRing([]*Key{newKey(now, now, nil)}, nil)
}

// newKey draws a key whose id the ring has never seen. It
// seldom draws twice: see weakness.
func newKey(created, active time.Time, r *Ring) *Key {
	for {
		k := &Key{mat: hide(new(material)), format: format1, created: created, active: active}
		rand.Read(k.mat().secret[:])
		k.id = k.mat().id()
		if weakness(&k.mat().secret, base64.RawURLEncoding.EncodeToString(k.mat().secret[:])) != "" {
			continue
		}
		if _, state := r.Find(k.id, created); state == Unknown {
			return k
		}
	}
}
