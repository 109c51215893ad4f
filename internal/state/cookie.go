package state

import "bytes"

// Kind says what a cookie carries.
type Kind byte

const (
	// Head carries the session as of its floor, or refers to the record in the
	// store that does.
	Head Kind = iota + 1
	// Cell carries one entry that was written after the floor.
	Cell
	// Logout says that its parent generation was destroyed.
	Logout
	// Seen carries the time at which the visitor was last seen.
	Seen
)

func (k Kind) String() string { return [...]string{"", "head", "cell", "logout", "seen"}[k&7] }

// Bounds on what a session holds.
const (
	// MaxName is the longest name of an entry, in bytes.
	MaxName = 255
	// MaxSubject is the longest subject of a session, in bytes.
	MaxSubject = 255
	// MaxTime is the greatest time or offset that the layout carries, in
	// milliseconds (the year 10889). A sum of two stays far inside an int64.
	MaxTime = 1<<48 - 1
	// NoIdle is the idle timeout of a session that has none.
	NoIdle = MaxTime
	// Large is the size of a value, in bytes, above which a fold leaves it in
	// its cell.
	Large = 512
)

// Cookie is the content of one sealed cookie, or of a record in the store.
// Times are in milliseconds since 1970.
type Cookie struct {
	// Tag is what follows the base name of the cookie. It is bound by the seal
	// and is no part of the content.
	Tag  string
	Kind Kind

	// Of a head and a logout.
	Root    Root
	Created int64 // of the session; a renewal keeps it
	End     int64 // of the absolute lifetime
	Born    Stamp // of the generation
	Orphan  bool  // begun by a request that brought nothing of ours, and was no login

	// Of a head.
	Browser bool     // the cookies end with the browser session
	Turn    uint64   // how often the head was replaced by one that has taken cells in
	Floor   Stamp    // cells of this age and older are dead, unless the head lists their entry
	Since   int64    // when the turn began
	Idle    int64    // the session's own idle timeout; 0 for the configured one, NoIdle for none
	Subject []byte   // whose session it is; nil if nobody has said
	Bound   int64    // when the subject was set
	Row     Revision // of the record that holds the entries; zero if the head holds them
	Back    bool     // of a record: the entries have gone back to the cookies, in the next turn
	Entries []Entry  // by name

	SeenAt int64 // of a head and a seen cookie: when the visitor was last seen

	// Of a cell and a seen cookie.
	Gen GenID

	// Of a cell.
	Entry       Entry
	SeenEntries []SeenEntry // by name: newer entries that the writer saw

	plaintext []byte // the encoded content, once known
}

// Revision names one state of a record, as the store does.
type Revision struct {
	Number uint64
	Tag    [16]byte
}

// Form says how an entry is kept.
type Form byte

const (
	// Value: the entry holds its value.
	Value Form = iota
	// Deleted: the entry is a tombstone.
	Deleted
	// Listed: the entry is in a cell, which is at least about as new as the
	// entry's stamp says.
	Listed
)

// Entry is one name and what was last written to it.
type Entry struct {
	Name   string
	Stamp  Stamp
	Form   Form
	Packed bool   // the value is in packed form
	Value  []byte // CBOR, or its packed form

	// Above and AboveTurn are set in a record's copy of a cell that requests in
	// flight may still write. A cell that is newer than Above, of this turn or a
	// later one, shows in place of the copy.
	Above     Stamp
	AboveTurn uint64

	From *Cookie // in a View: the cell that shows the entry; nil for the head
}

// NewEntry returns the entry of a value, packed if that makes it shorter.
func NewEntry(name string, stamp Stamp, value []byte) Entry {
	e := Entry{Name: name, Stamp: stamp, Value: value}
	if packed, ok := pack(value); ok {
		e.Value, e.Packed = packed, true
	}
	return e
}

// Copied reports whether e is a copy of a cell.
func (e *Entry) Copied() bool { return e.Above != Stamp{} }

// yields reports whether a cell of e's name shows in place of e, which is in a
// head or a record.
func (e *Entry) overriddenBy(cell *Cookie) bool {
	s := cell.Entry.Stamp
	return e.Form == Listed || s.After(e.Stamp) ||
		e.Copied() && s.After(e.Above) && cell.Turn >= e.AboveTurn && s.At >= e.Stamp.At-Slack
}

// Live reports whether e has a value.
func (e *Entry) Live() bool { return e.Form == Value }

// CBOR returns e's value as it was set; nil for a tombstone. It must not be
// written to.
func (e *Entry) CBOR() []byte {
	if e.Packed {
		return unpack(e.Value)
	}
	return e.Value
}

// Len returns the length of e's value as it was set, in bytes.
func (e *Entry) Len() int {
	if e.Packed {
		n, _ := unpackedLen(e.Value)
		return n
	}
	return len(e.Value)
}

// Is reports whether e's value is the given CBOR.
func (e *Entry) HasValue(value []byte) bool {
	return e.Live() && (e.Packed || len(e.Value) == len(value)) && bytes.Equal(e.CBOR(), value)
}

// IsLarge reports whether a fold leaves e in its cell.
func (e *Entry) IsLarge() bool { return len(e.Value) > Large }

// Sight is a write that a cell's writer saw beside its own.
type SeenEntry struct {
	Name    string
	At      int64
	Deleted bool
}

// Stored reports whether a head refers to a record.
func (c *Cookie) Stored() bool { return c.Row.Number != 0 }

// latest is the highest time in c.
func (c *Cookie) latest() int64 {
	top := max(c.Born.At, c.Floor.At, c.Since, c.Entry.Stamp.At)
	for i := range c.Entries {
		top = max(top, c.Entries[i].Stamp.At)
	}
	return top
}

// UnderOwnTag reports whether a head is under a tag that only its own generation
// uses.
func (c *Cookie) UnderOwnTag() bool {
	r := &c.Root
	return c.Kind == Head && (c.Tag == r.HeadTag(c.Turn) || c.Tag == r.WholeTag(c.Turn) || c.Tag == r.ClearTag(c.Turn))
}

// Again returns a copy of c that may be changed.
func (c *Cookie) Clone() *Cookie {
	d := *c
	d.plaintext = nil
	return &d
}

// Newer reports whether c was written after d.
func (c *Cookie) Newer(d *Cookie) bool {
	if a, b := c.latest(), d.latest(); a != b {
		return a > b
	}
	return c.SeenAt > d.SeenAt
}
