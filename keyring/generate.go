package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"
)

// Generate makes a ring with one new key of format 1, which is active. now
// becomes its creation and activation time, without the fraction of a second. It
// fails only if now is not between the years 1970 and 9999.
func Generate(now time.Time) (*Ring, error) { return GenerateFormat(now, format1) }

// GenerateFormat is Generate with a key of another format, which every program
// that gets the ring must have: 2 is codec/xchacha, 3 is
// codec/securecookieformat. It also fails for 0, which is none.
func GenerateFormat(now time.Time, format byte) (*Ring, error) {
	if format == 0 {
		return nil, errors.New("keyring: 0 is no format; 1 is the default")
	}
	now = now.UTC().Truncate(time.Second)
	return newRing([]*Key{newKey(now, now, format, nil)}, nil)
}

// newKey draws a key whose id the ring has never seen. It
// seldom draws twice: see weakness.
func newKey(created, active time.Time, format byte, r *Ring) *Key {
	for {
		k := &Key{mat: hide(new(material)), format: format, created: created, active: active}
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
