package state

import "bytes"

// Kind is the kind of a cookie's content.
type Kind byte

const (
	// Head carries the session as of its floor, or refers to a record in the store
	// that carries it.
	Head Kind = iota + 1
	// Cell carries one entry that was written after the floor.
	Cell
	// Logout ends a generation.
	Logout
	// Seen carries the time of the visitor's last use of the session.
	Seen
)

func (k Kind) String() string { return [...]string{"", "head", "cell", "logout", "seen"}[k&7] }

// Limits of the format.
const (
	// MaxName is the longest name of an entry, in bytes.
	MaxName = 255
	// MaxTime is the greatest encodable time or offset, in milliseconds (the year
	// 10889). The sum of two does not overflow an int64.
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
	// Tag follows the base name in the cookie's name. The content does not contain
	// the tag, but the seal authenticates it.
	Tag  string
	Kind Kind

	// These fields are set in a head and in a logout.
	Root    Root
	Created int64 // of the session; a renewal keeps it
	End     int64 // of the absolute lifetime
	Born    Stamp // of the generation
	Orphan  bool  // begun by a request without session cookies that was not a login

	// These fields are set in a head.
	Browser  bool     // the cookies end with the browser session
	Turn     uint64   // how often a new head replaced the head and its cells
	Floor    Stamp    // cells up to this stamp do not show, unless the head lists their entry
	Since    int64    // when the turn began
	Idle     int64    // the session's own idle timeout; 0 for the configured one, NoIdle for none
	Subjects Subjects // by which the program can end the session; nil if none
	Bound    int64    // when the subjects were set
	Row      Revision // of the record that holds the entries; zero if the head holds them
	Back     bool     // in a record: the entries have moved back to the cookies, in the next turn
	Entries  []Entry  // by name

	SeenAt int64 // when the visitor was last seen; set in a head and in a seen cookie

	// Gen is set in a cell and in a seen cookie.
	Gen GenID

	// These fields are set in a cell.
	Entry       Entry
	SeenEntries []SeenEntry // by name: the newer entries that the writer saw

	plaintext []byte // the encoded content; nil until it is needed
}

// Revision identifies one version of a record.
type Revision struct {
	Number uint64
	Tag    [16]byte
}

// Form is the form in which an entry is kept.
type Form byte

const (
	// Value: the entry holds its value.
	Value Form = iota
	// Deleted: the entry is a tombstone.
	Deleted
	// Listed: the entry is in a cell. The cell is at most Slack older than the
	// entry's stamp.
	Listed
)

// Entry is a name and the last write to it.
type Entry struct {
	Name   string
	Stamp  Stamp
	Form   Form
	Packed bool   // the value is in packed form
	Value  []byte // CBOR, or its packed form

	// Above is set in a record's copy of a cell if requests in flight may still
	// write that cell. A cell shows in place of the copy if it is newer than Above.
	Above Stamp

	From *Cookie // in a View: the cell from which the entry shows; nil if it shows from the head or record
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

// overriddenBy reports whether a cell of the same name shows in place of e, an
// entry of a head or a record.
func (e *Entry) overriddenBy(cell *Cookie) bool {
	s := cell.Entry.Stamp
	return e.Form == Listed || s.After(e.Stamp) ||
		e.Copied() && s.After(e.Above) && s.At >= e.Stamp.At-Slack
}

// Live reports whether e has a value.
func (e *Entry) Live() bool { return e.Form == Value }

// CBOR returns e's value as it was set, or nil for a tombstone. The caller must
// not modify it.
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

// HasValue reports whether e's value is the given CBOR.
func (e *Entry) HasValue(value []byte) bool {
	return e.Live() && (e.Packed || len(e.Value) == len(value)) && bytes.Equal(e.CBOR(), value)
}

// IsLarge reports whether a fold leaves e in its cell.
func (e *Entry) IsLarge() bool { return len(e.Value) > Large }

// SeenEntry is a newer entry that the writer of a cell saw.
type SeenEntry struct {
	Name    string
	At      int64
	Deleted bool
}

// Stored reports whether a head refers to a record.
func (c *Cookie) Stored() bool { return c.Row.Number != 0 }

// latest returns the highest time in c.
func (c *Cookie) latest() int64 {
	top := max(c.Born.At, c.Floor.At, c.Since, c.Entry.Stamp.At)
	for i := range c.Entries {
		top = max(top, c.Entries[i].Stamp.At)
	}
	return top
}

// UnderOwnTag reports whether c is a head under a tag that no other generation
// uses.
func (c *Cookie) UnderOwnTag() bool {
	r := &c.Root
	return c.Kind == Head && (c.Tag == r.HeadTag(c.Turn) || c.Tag == r.WholeTag(c.Turn) || c.Tag == r.ClearTag(c.Turn))
}

// Clone returns a shallow copy of c, whose fields may be changed.
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
