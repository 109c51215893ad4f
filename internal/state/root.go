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

// Root is the secret of one generation of a session. Only sealed values hold
// it. Ids, names and keys are derived from it.
type Root [32]byte

// NewRoot draws a root.
func NewRoot() (r Root) {
	rand.Read(r[:]) // never fails: crypto/rand ends the program instead
	return r
}

// NewWriteID draws the id that all stamps of one request share.
func NewWriteID() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// ID returns the generation's public id: 22 characters of base64url, 128 bits.
func (r *Root) ID() string { return text128(hkdfSHA256(r[:], "carryon session id")) }

// RecordID returns the id under which a store keeps the generation's record: 22
// characters of base64url, 128 bits. Nothing of the session follows from it.
func (r *Root) RecordID() string { return RecordIDOf(r.ID()) }

// RecordIDOf returns the RecordID of the generation with the given public id, so
// that a program that knows only the id can end the session.
func RecordIDOf(id string) string { return text128(hkdfSHA256([]byte(id), "carryon record id")) }

func text128(b [32]byte) string { return base64.RawURLEncoding.EncodeToString(b[:16]) }

// RecordKey returns the 32-byte secret that seals the generation's record.
func (r *Root) RecordKey() []byte {
	key, err := hkdf.Key(sha256.New, r[:], nil, "carryon record key", 32)
	if err != nil {
		panic("carryon: deriving a record's key: " + err.Error()) // only for lengths beyond 255 hashes
	}
	return key
}

// GenID names a generation in its cells and seen cookies.
type GenID [8]byte

// GenID returns the generation's id.
func (r *Root) GenID() (g GenID) {
	sum := r.derive("generation", "", 0)
	copy(g[:], sum[:])
	return g
}

// TagLen is the number of characters of a tag.
const TagLen = 10

// FixedTag is the tag of a head that begins where the request brought nothing to
// derive a tag from: of an orphan (the request was no login), or of any other.
// It begins with 0 or 1, as no derived tag does, and goes on with 45 bits of
// SHA-256 of "carryon fixed", a zero byte, and the audience.
func FixedTag(orphan bool, audience string) string {
	sum := sha256.Sum256([]byte("carryon fixed\x00" + audience))
	var text [16]byte // of ten bytes
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

// NextTag is the tag of the head of a generation that begins over r.
func (r *Root) NextTag() string { return r.tag("next", "", 0) }

// EndTag is the tag of r's logout, and of the head of a generation that begins
// in the response that destroys r.
func (r *Root) EndTag() string { return r.tag("end", "", 0) }

// HeadTag is the tag of r's head of a turn.
func (r *Root) HeadTag(turn uint64) string { return r.tag("head", "", turn) }

// WholeTag is the tag of r's head if a turn was written whole. There are two, so
// that however many such responses overlap, two heads are left at most.
func (r *Root) WholeTag(turn uint64) string { return r.tag("whole", "", turn%2) }

// ClearTag is the tag of r's head of a turn that began empty.
func (r *Root) ClearTag(turn uint64) string { return r.tag("clear", "", turn) }

// CellTag is the tag of an entry's cell that is written in a turn.
func (r *Root) CellTag(name string, turn uint64) string { return r.tag("cell", name, turn) }

// SeenTag is the tag of r's seen cookie.
func (r *Root) SeenTag() string { return r.tag("seen", "", 0) }

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (r *Root) tag(what, name string, turn uint64) string {
	sum := r.derive(what, name, turn)
	var text [12]byte // of seven bytes
	base32Lower.Encode(text[:], sum[:7])
	return string(text[:TagLen])
}

// derive is the HMAC-SHA-256 under r from which tags and the generation id are
// taken: of "carryon", what, the turn in decimal, and the name, separated by a
// zero byte each. Only the last may contain one.
func (r *Root) derive(what, name string, turn uint64) [32]byte {
	var room [64]byte
	b := append(room[:0], "carryon\x00"...)
	b = append(b, what...)
	b = append(b, 0)
	b = strconv.AppendUint(b, turn, 10)
	b = append(b, 0)
	b = append(b, name...)
	return hmacSHA256((*[32]byte)(r), b)
}
