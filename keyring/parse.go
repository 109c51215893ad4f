package keyring

import (
	"encoding/base64"
	"fmt"
	"time"
)

// version is the version of the JSON form.
const version = 1

const timeLayout = "2006-01-02T15:04:05Z"

// Parse reads a ring from its JSON form, which SPEC.md describes. It is
// strict. It refuses unknown, repeated or missing members, wrong ids,
// duplicate keys, and rings larger than [MaxSize], [MaxKeys] or [MaxDead]. It
// also refuses a secret that is not 32 random-looking bytes or that a public
// document contains. Its errors say what is wrong and where, and never quote
// the text.
func Parse(text []byte) (*Ring, error) { return parse(text, false) }

// DangerouslyParseWithExampleKeys is [Parse], but accepts the example keys of
// SPEC.md and of the test vectors. Anyone can forge a session that such a key
// seals. Use it only in tests.
func DangerouslyParseWithExampleKeys(text []byte) (*Ring, error) { return parse(text, true) }

func parse(text []byte, allowExamples bool) (*Ring, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("keyring: the ring is larger than %d bytes", MaxSize)
	}
	o, err := readObject("the ring", text)
	if err != nil {
		return nil, err
	}
	if v := o.number("version"); o.err == nil && v != version {
		return nil, fmt.Errorf("keyring: the ring has version %d, this program reads version %d; upgrade the program, or make the ring with a matching version of carryon", v, version)
	}
	var keys []*Key
	for _, e := range o.array("keys", MaxKeys, true) {
		keys = append(keys, e.key(allowExamples))
		o.fail(e.finish())
	}
	var dead []Dead
	for _, e := range o.array("dead", MaxDead, false) {
		dead = append(dead, e.dead())
		o.fail(e.finish())
	}
	if err := o.finish(); err != nil {
		return nil, err
	}
	return newRing(keys, dead)
}

func (o *object) key(allowExamples bool) *Key {
	k := &Key{id: o.id("id"), mat: hide(new(material))}
	if o.err == nil {
		o.where += " (" + k.id.String() + ")"
	}
	o.secret("secret", &k.mat().secret, allowExamples)
	if o.err == nil && k.mat().id() != k.id {
		o.failf("the id does not belong to the secret; one of them was changed")
	}
	f := o.number("format")
	if o.err == nil && (f < 1 || f > 255) {
		o.failf("there is no format %d; 1 is the default, and middleware.Config.Formats adds others from 2 to 255", f)
	}
	k.format = byte(f)
	k.created = o.time("created", true)
	k.active = o.time("active", true)
	k.expires = o.time("expires", false)
	if o.err == nil && !k.expires.IsZero() && !k.expires.After(k.active) {
		o.failf("it expires before it becomes active")
	}
	return k
}

func (o *object) dead() Dead {
	d := Dead{ID: o.id("id")}
	switch o.text("state", true) {
	case Expired.String():
		d.State = Expired
	case Revoked.String():
		d.State = Revoked
	default:
		o.failf(`"state" must be "expired" or "revoked"`)
	}
	d.At = o.time("at", true)
	return d
}

func (o *object) id(name string) ID {
	id, err := ParseID(o.text(name, true))
	if err != nil {
		o.failf("%q must be 8 lower-case hexadecimal digits", name)
	}
	return id
}

func (o *object) time(name string, required bool) time.Time {
	s := o.text(name, required)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(timeLayout, s)
	// Parse also accepts fractions of a second, which the layout does not
	// have.
	if err != nil || t.Format(timeLayout) != s || !validTime(t) {
		o.failf("%q must be a time like 2026-01-31T15:04:05Z: UTC, whole seconds, 1970 to 9999", name)
		return time.Time{}
	}
	return t
}

func validTime(t time.Time) bool {
	y := t.UTC().Year()
	return 1970 <= y && y <= 9999
}

func (o *object) secret(name string, secret *[secretSize]byte, allowExamples bool) {
	s := o.text(name, true)
	if o.err != nil {
		return
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks, so the text is compared with its
	// canonical form.
	if err != nil || len(b) != secretSize || base64.RawURLEncoding.EncodeToString(b) != s {
		o.failf("%q must be 32 random bytes as 43 characters of unpadded base64url; make keys with: carryon keys init FILE", name)
		return
	}
	copy(secret[:], b)
	if why := weakness(secret, s); why != "" {
		o.failf("the secret %s; make keys with: carryon keys init FILE", why)
	}
	if !allowExamples && examples()[*secret] {
		o.failf("the secret is an example from a public document; make your own keys with: carryon keys init FILE")
	}
}
