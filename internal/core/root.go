package core

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
)

// Root is the secret of one generation of a session. Only sealed values hold
// it; what others may see of it is derived.
type Root [32]byte

// NewRoot draws a root.
func NewRoot() (r Root) {
	rand.Read(r[:]) // never fails: crypto/rand ends the program instead
	return r
}

// NewWriteID draws the write id of one request.
func NewWriteID() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

func (r Root) derive(info string, n int) []byte {
	key, err := hkdf.Key(sha256.New, r[:], nil, info, n)
	if err != nil { // only for lengths beyond 255 hashes
		panic("carryon: deriving " + info + ": " + err.Error())
	}
	return key
}

// ID is the generation's public id: 22 characters of base64url, 128 bits.
func (r Root) ID() string {
	return base64.RawURLEncoding.EncodeToString(r.derive("carryon session id", 16))
}

// RecordID is the id under which a store keeps the generation's record: 22
// characters of base64url, 128 bits. Nothing of the session follows from it.
func (r Root) RecordID() string { return RecordIDOf(r.ID()) }

// RecordIDOf is the RecordID of the generation with a public id, so that who
// knows no more than that can end it.
func RecordIDOf(id string) string {
	key, err := hkdf.Key(sha256.New, []byte(id), nil, "carryon record id", 16)
	if err != nil {
		panic("carryon: deriving a record's id: " + err.Error()) // only for lengths beyond 255 hashes
	}
	return base64.RawURLEncoding.EncodeToString(key)
}

// RecordKey is the secret that seals the generation's record, 32 bytes.
func (r Root) RecordKey() []byte { return r.derive("carryon record key", 32) }

// FamilyOf is the family of a generation: its own in a first generation, the
// inherited one after a Renew.
func FamilyOf(f *Fragment) (fam Family) {
	if f.Family != (Family{}) {
		return f.Family
	}
	copy(fam[:], f.Root.derive("carryon session family", len(fam)))
	return fam
}

// SuffixLen is the length of a name's suffix in characters.
const SuffixLen = 10

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// nameLabel parts the names from all else that is made of a root.
const nameLabel = "carryon fragment name"

// Name sets f's suffix from its content: 50 bits of an HMAC under the root, so
// that a name tells nothing and equal contents have equal names. The idle clock
// has a fixed name, for it is meant to be overwritten.
func (f *Fragment) Name() {
	content := []byte("seen")
	if f.Kind != SeenMark {
		content = f.Plaintext()[:f.contentLen]
	}
	sum := hmacSHA256((*[32]byte)(&f.Root), nameLabel, content)
	var text [12]byte // of seven bytes
	base32Lower.Encode(text[:], sum[:7])
	f.Suffix = string(text[:SuffixLen])
}

// Plaintext is what is sealed. It must not be written to.
func (f *Fragment) Plaintext() []byte {
	if f.plain == nil {
		f.plain = f.AppendContent(make([]byte, 0, f.PlaintextLen()))
		f.contentLen = len(f.plain)
		f.plain = f.appendSeen(f.plain)
	}
	return f.plain
}

// IsSuffix tells whether s has the form of a suffix.
func IsSuffix(s string) bool {
	if len(s) != SuffixLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
