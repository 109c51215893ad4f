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

// ID is the generation's public id: 22 characters of base64url, 128 bits.
func (r Root) ID() string { return text128(hkdfSHA256(r[:], "carryon session id")) }

// RecordID is the id under which a store keeps the generation's record: 22
// characters of base64url, 128 bits. Nothing of the session follows from it.
func (r Root) RecordID() string { return RecordIDOf(r.ID()) }

// RecordIDOf is the RecordID of the generation with a public id, so that who
// knows no more than that can end it.
func RecordIDOf(id string) string { return text128(hkdfSHA256([]byte(id), "carryon record id")) }

func text128(b [32]byte) string { return base64.RawURLEncoding.EncodeToString(b[:16]) }

// RecordKey is the secret that seals the generation's record, 32 bytes.
func (r Root) RecordKey() []byte {
	key, err := hkdf.Key(sha256.New, r[:], nil, "carryon record key", 32)
	if err != nil {
		panic("carryon: deriving a record's key: " + err.Error()) // only for lengths beyond 255 hashes
	}
	return key
}

// FamilyOf is the family of a generation: its own in a first generation, the
// inherited one after a Renew.
func FamilyOf(f *Fragment) (fam Family) {
	if f.Family != (Family{}) {
		return f.Family
	}
	family := hkdfSHA256(f.Root[:], "carryon session family")
	return Family(family[:len(fam)])
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
		room := f.plainLen
		if room == 0 {
			room = f.roughLen()
		}
		f.plain = f.AppendContent(make([]byte, 0, room))
		f.contentLen = len(f.plain)
		f.plain = f.appendSeen(f.plain)
	}
	return f.plain
}

// roughLen is about how long the plaintext is, rather more than less.
func (f *Fragment) roughLen() int {
	n := 3*LeastData + len(f.Subject) + f.Weight() + 8*len(f.Entries)
	for i := range f.Needs {
		n += 3 + len(f.Needs[i].Name)
	}
	return n
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
