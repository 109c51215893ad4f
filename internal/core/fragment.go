package core

import (
	"slices"
	"strings"
)

// Kind tells what a fragment is for.
type Kind byte

const (
	// Data carries entries. With no needs it is a snapshot, the whole state;
	// with needs it is a delta, one or more requests' changes.
	Data Kind = 1
	// Logout says that the session was destroyed.
	Logout Kind = 2
	// SeenMark is the idle clock of a session that is more than one cookie.
	SeenMark Kind = 3
	// Reference names the record that holds the state.
	Reference Kind = 4
)

// MaxName is the longest name of an entry, in bytes.
const MaxName = 255

// MaxSubject is the longest subject that a session is bound to, in bytes.
const MaxSubject = 255

// MaxTime is the greatest time or offset that the layout carries, in
// milliseconds (the year 10889): sums of two stay far inside an int64.
const MaxTime = 1<<48 - 1

// Family ties the generations of one session together over Renew.
type Family [16]byte

// Entry is one name's newest write.
type Entry struct {
	Name  string
	Stamp Stamp
	Value []byte // the value as CBOR; nil in a tombstone
	Gone  int64  // 0, or when the name was deleted (ms)
}

// Dead tells whether e is a tombstone.
func (e Entry) Dead() bool { return e.Gone != 0 }

// Need is a write that a delta's request saw and that the delta lacks: the
// delta counts only where the state shows that write or a newer one.
type Need struct {
	Name  string
	Stamp Stamp
	Gone  bool // the write was a tombstone
}

// Fragment is what one sealed cookie (or record) says. Times are milliseconds
// since 1970.
type Fragment struct {
	Suffix string // of the cookie's name; follows from the content, so it is not part of it

	Kind    Kind
	Orphan  bool   // begun by a request that carried none of ours
	Browser bool   // a browser-session cookie: no Max-Age
	Stored  bool   // it came from elsewhere than a cookie of ours: the store, another library; not part of the content
	Root    Root   // the generation's secret; ids, names and record keys come from it
	Family  Family // zero in a session's first generation: see FamilyOf
	Born    Stamp  // when the generation began
	Created int64  // of the session, kept by Renew
	End     int64  // of the absolute lifetime

	Floor   Stamp // writes older than this were cleared
	Horizon int64 // in a snapshot: a write up to here that it lacks is dead; in a delta: the horizon it saw

	Entries []Entry // by name
	Needs   []Need  // by name

	Idle    int64  // 0, or this session's own idle timeout (ms)
	Subject []byte // nil, or whom the session is bound to
	Bound   int64  // when it was bound

	Number uint64   // reference: of the record's revision; snapshot: up to here the moved record was collected
	ETag   [16]byte // reference: of the record's revision
	Moved  uint64   // snapshot: references up to this number are dead, the state has moved into cookies

	Seen int64 // when the visitor was last seen; not part of the content

	written // so far; to be emptied where anything above changes
}

// written is what has been made of a fragment.
type written struct {
	plain      []byte // what is sealed
	contentLen int    // how much of plain the name follows from
	plainLen   int    // of plain, once somebody has asked for it and it is not made
	wire       []byte // the same in the form in which it travels, once Wire has chosen it
}

// Snapshot tells whether f stands on its own.
func (f *Fragment) Snapshot() bool { return f.Kind == Data && len(f.Needs) == 0 }

// Find returns the entry of a name, tombstones included.
func (f *Fragment) Find(name string) (Entry, bool) { return find(f.Entries, name) }

func find(entries []Entry, name string) (Entry, bool) {
	i, ok := position(entries, name)
	if !ok {
		return Entry{}, false
	}
	return entries[i], true
}

func position(entries []Entry, name string) (int, bool) {
	return slices.BinarySearchFunc(entries, name, func(e Entry, n string) int { return strings.Compare(e.Name, n) })
}

// highest is the greatest clock value that f shows, so that whoever saw it
// writes above.
func (f *Fragment) highest() int64 {
	top := max(f.Born.At, f.Floor.At, f.Horizon)
	for i := range f.Entries {
		top = max(top, f.Entries[i].Stamp.At)
	}
	for i := range f.Needs {
		top = max(top, f.Needs[i].Stamp.At)
	}
	return top
}

// newest is the greatest stamp among f's own writes.
func (f *Fragment) newest() Stamp {
	top := f.Floor
	for i := range f.Entries {
		top = laterStamp(top, f.Entries[i].Stamp)
	}
	return top
}

// stamps appends what the entries and needs refer to: ascending, each once.
func (f *Fragment) stamps(all []Stamp) []Stamp {
	add := func(s Stamp) {
		if n := len(all); n > 0 && all[n-1] == s {
			return
		}
		all = append(all, s)
	}
	for i := range f.Entries {
		add(f.Entries[i].Stamp)
	}
	for i := range f.Needs {
		add(f.Needs[i].Stamp)
	}
	slices.SortFunc(all, Stamp.Compare)
	return slices.Compact(all)
}
