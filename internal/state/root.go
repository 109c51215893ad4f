package state

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// Root is the secret of one generation of a session. Ids, tags and keys are
// derived from it. Only sealed values contain it.
type Root [32]byte

// NewRoot returns a random root.
func NewRoot() (r Root) {
	rand.Read(r[:]) // never fails: crypto/rand ends the program instead
	return r
}

// NewWriteID returns a random id for the stamps of one request.
func NewWriteID() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// ID returns the generation's public id: 22 characters of base64url, 128 bits.
func (r *Root) ID() string { return text128(hkdfSHA256(r[:], "carryon session id")) }

// RecordID returns the id of the generation's row in a store: 22 characters of
// base64url, 128 bits. It reveals nothing about the session.
func (r *Root) RecordID() string { return RecordIDOf(r.ID()) }

// RecordIDOf returns the RecordID of the generation with the given public id. A
// program that knows only that id can thereby end the session.
func RecordIDOf(id string) string { return text128(hkdfSHA256([]byte(id), "carryon record id")) }

func text128(b [32]byte) string { return base64.RawURLEncoding.EncodeToString(b[:16]) }

// RecordKey returns the 32-byte secret that seals the generation's record.
func (r *Root) RecordKey() []byte {
	key, err := hkdf.Key(sha256.New, r[:], nil, "carryon record key", 32)
	if err != nil {
		panic("carryon: deriving a record's key: " + err.Error()) // fails only for more than 255 hashes of output
	}
	return key
}

// GenID identifies a generation in its cells and seen cookies.
type GenID [8]byte

// GenID returns the generation's id.
func (r *Root) GenID() (g GenID) {
	sum := r.derive("generation", "", 0)
	copy(g[:], sum[:])
	return g
}

// TagLen is the number of characters of a tag.
const TagLen = 10

// FixedTag returns the tag of a new head if there is no earlier generation to
// derive a tag from. Orphans and other heads have different ones. Unlike derived
// tags, a fixed tag begins with 0 or 1. The other 45 bits are from SHA-256 of
// "carryon fixed", a zero byte, and the audience.
func FixedTag(orphan bool, audience string) string {
	sum := sha256.Sum256([]byte("carryon fixed\x00" + audience))
	var text [16]byte // base32 of ten bytes
	base32Lower.Encode(text[:], sum[:10])
	first := "1"
	if orphan {
		first = "0"
	}
	return first + string(text[:TagLen-1])
}

// IsFixed reports whether a tag is a [FixedTag].
func IsFixed(tag string) bool { return len(tag) == TagLen && (tag[0] == '0' || tag[0] == '1') }

// IsTag reports whether s has the form of a tag.
func IsTag(s string) bool {
	if len(s) != TagLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') && (i > 0 || !IsFixed(s)) {
			return false
		}
	}
	return true
}

// NextTag returns the tag of the head of a generation that replaces r.
func (r *Root) NextTag() string { return r.tag("next", "", 0) }

// EndTag returns the tag of r's logout, and of the head of a generation that begins
// in the same response as that logout.
func (r *Root) EndTag() string { return r.tag("end", "", 0) }

// HeadTag returns the tag of r's head in a turn.
func (r *Root) HeadTag(turn uint64) string { return r.tag("head", "", turn) }

// WholeTag returns the tag of r's head in a turn that was written whole. Turns
// alternate between two tags, so that overlapping responses leave at most two heads.
func (r *Root) WholeTag(turn uint64) string { return r.tag("whole", "", turn%2) }

// ClearTag returns the tag of r's head in a turn that began with a cleared session.
func (r *Root) ClearTag(turn uint64) string { return r.tag("clear", "", turn) }

// CellTag returns the tag of an entry's cell in a turn.
func (r *Root) CellTag(name string, turn uint64) string { return r.tag("cell", name, turn) }

// SeenTag returns the tag of r's seen cookie.
func (r *Root) SeenTag() string { return r.tag("seen", "", 0) }

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (r *Root) tag(purpose, name string, turn uint64) string {
	sum := r.derive(purpose, name, turn)
	var text [12]byte // base32 of seven bytes
	base32Lower.Encode(text[:], sum[:7])
	return string(text[:TagLen])
}

// derive returns the HMAC-SHA-256 under r of "carryon", purpose, the turn in
// decimal, and the name, separated by zero bytes. Only the name may contain zero
// bytes.
func (r *Root) derive(purpose, name string, turn uint64) [32]byte {
	var buf [64]byte
	b := append(buf[:0], "carryon\x00"...)
	b = append(b, purpose...)
	b = append(b, 0)
	b = strconv.AppendUint(b, turn, 10)
	b = append(b, 0)
	b = append(b, name...)
	return hmacSHA256((*[32]byte)(r), b)
}
