package state

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a listing.
const (
	// MaxListed is the largest number of sessions in a listing.
	MaxListed = 100
	// MaxLabel is the longest label of a listed session, in bytes.
	MaxLabel = 128
	// rowHash is the length of the hash by which a listing names a subject's row.
	rowHash = 24
)

// Listing is the list of one subject's sessions, without the sessions' secrets. It
// also names sessions that have ended a short time ago, so that a slow request does
// not list them again.
type Listing []ListItem

// ListItem is a session in a listing. Times are in milliseconds since 1970.
type ListItem struct {
	ID      [16]byte // the public id
	End     int64    // when the session expires, or when an ended one is forgotten
	Ended   bool     // the fields below are not set
	Created int64
	SeenAt  int64
	Bound   int64    // when the subjects were bound
	Others  [][]byte // the hashes that name the rows of the other subjects
	Label   string
}

// NewListItem returns the entry of a session.
func NewListItem(head *Cookie, seen, end int64, label string) ListItem {
	return ListItem{ID: listedID(head.Root.ID()), Created: head.Created, SeenAt: seen, End: end, Bound: head.Bound, Label: cutLabel(label)}
}

// listedID returns the bytes of a public id.
func listedID(id string) (b [16]byte) {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(raw) != len(b) {
		panic("carryon: a public id is not 16 bytes of base64url") // Root.ID returns no other
	}
	return [16]byte(raw)
}

// PublicID returns the session's public id.
func (l *ListItem) PublicID() string { return base64.RawURLEncoding.EncodeToString(l.ID[:]) }

// cutLabel returns a label as valid UTF-8 of at most MaxLabel bytes.
func cutLabel(label string) string {
	label = strings.ToValidUTF8(label[:min(len(label), 4*MaxLabel)], "?")
	for len(label) > MaxLabel {
		_, size := utf8.DecodeLastRuneInString(label)
		label = label[:len(label)-size]
	}
	return label
}

// Put adds a session or replaces its entry, unless it has ended.
func (l Listing) Put(e ListItem) Listing {
	i := slices.IndexFunc(l, func(have ListItem) bool { return have.ID == e.ID })
	switch {
	case i < 0:
		return append(l, e)
	case !l[i].Ended:
		e.SeenAt = max(e.SeenAt, l[i].SeenAt)
		l[i] = e
	}
	return l
}

// Remove notes that a session has ended.
func (l Listing) Remove(root *Root, now int64) Listing {
	id := listedID(root.ID())
	l = slices.DeleteFunc(l, func(have ListItem) bool { return have.ID == id })
	return append(l, ListItem{ID: id, Ended: true, End: now + Settled})
}

// Live returns the entries that have neither ended nor expired, the last seen first.
func (l Listing) Live(now int64) Listing {
	live := slices.DeleteFunc(slices.Clone(l), func(e ListItem) bool { return e.Ended || e.End <= now })
	slices.SortFunc(live, func(a, b ListItem) int {
		return cmp.Or(cmp.Compare(b.SeenAt, a.SeenAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return live
}

// trimmed returns the entries to keep: those that have not expired, and of the live
// and of the ended ones at most MaxListed each.
func (l Listing) trimmed(now int64) Listing {
	live := l.Live(now)
	ended := slices.DeleteFunc(slices.Clone(l), func(e ListItem) bool { return !e.Ended || e.End <= now })
	ended = ended[max(len(ended)-MaxListed, 0):]
	return append(live[:min(len(live), MaxListed)], ended...)
}

// Encode returns the listing without what is no longer needed, and when the last entry
// expires.
func (l Listing) Encode(now int64) (plaintext []byte, until int64) {
	l = l.trimmed(now)
	until = now
	b := appendItemHead(nil, majorArray, uint64(len(l)))
	for i := range l {
		b = l[i].append(b)
		until = max(until, l[i].End)
	}
	return b, until
}

func (l *ListItem) append(b []byte) []byte {
	n := uint64(7)
	if l.Ended {
		n = 2
	}
	b = appendItemHead(b, majorArray, n)
	b = AppendBytes(b, l.ID[:])
	b = appendUint(b, uint64(l.End))
	if l.Ended {
		return b
	}
	for _, at := range []int64{l.Created, l.SeenAt, l.Bound} {
		b = appendUint(b, uint64(at))
	}
	b = appendItemHead(b, majorArray, uint64(len(l.Others)))
	for _, hash := range l.Others {
		b = AppendBytes(b, hash)
	}
	return AppendText(b, l.Label)
}

// DecodeListing decodes the output of [Listing.Encode] and rejects everything else.
func DecodeListing(plaintext []byte) (Listing, error) {
	r := reader{scanner: scanner{b: plaintext}}
	n := r.count(majorArray)
	if n > 2*MaxListed {
		r.fail()
	}
	var l Listing
	for i := 0; i < n && !r.bad; i++ {
		l = append(l, r.listed())
	}
	if r.left() != 0 {
		r.fail()
	}
	return l, r.err()
}

func (r *reader) listed() (l ListItem) {
	n := r.itemHead(majorArray)
	r.fixed(l.ID[:])
	l.End = int64(r.uint(MaxTime))
	if n == 2 {
		l.Ended = true
		return l
	}
	for _, at := range []*int64{&l.Created, &l.SeenAt, &l.Bound} {
		*at = int64(r.uint(MaxTime))
	}
	others := r.count(majorArray)
	if n != 7 || others >= MaxSubjects {
		r.fail()
	}
	for i := 0; i < others && !r.bad; i++ {
		hash := make([]byte, rowHash)
		r.fixed(hash)
		l.Others = append(l.Others, hash)
	}
	l.Label = r.label()
	return l
}

// label reads text of at most MaxLabel bytes.
func (r *reader) label() string {
	n := r.itemHead(majorText)
	if n > MaxLabel {
		r.fail()
	}
	v := r.take(int(min(n, MaxLabel)))
	if r.bad || !utf8.Valid(v) {
		r.fail()
		return ""
	}
	return string(v)
}
