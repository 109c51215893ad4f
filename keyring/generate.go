package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"
)

// Generate makes a ring with one new, active key of format 1. now, without its
// fraction of a second, becomes the creation and activation time. Generate
// fails only if now is not between the years 1970 and 9999.
func Generate(now time.Time) (*Ring, error) { return GenerateFormat(now, format1) }

// GenerateFormat is [Generate] with a key of another format: 2 is
// codec/xchacha, 3 is codec/securecookieformat. Every program that uses the
// ring must have that format. GenerateFormat also fails for format 0, which
// does not exist.
func GenerateFormat(now time.Time, format byte) (*Ring, error) {
	if format == 0 {
		return nil, errors.New("keyring: there is no format 0; 1 is the default")
	}
	now = now.UTC().Truncate(time.Second)
	return newRing([]*Key{newKey(now, now, format, nil)}, nil)
}

// newKey generates a key whose id the ring does not list. It rarely needs a
// second attempt; see weakness.
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
