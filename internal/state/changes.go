package state

import (
	"slices"
	"strings"
)

// Op is what a request does to one entry.
type Op struct {
	Name  string
	Value []byte // the new value as CBOR; nil deletes
	Pop   bool   // the handler read the value and deleted it in one call
}

// Changes is the list of a request's changes to its session. They apply in this
// order: destroy, renew, clear, then the operations.
type Changes struct {
	Ops       []Op // by name, at most one for each name
	Cleared   bool
	Renewed   bool
	Destroyed bool
	Root      Root     // of the generation that these changes begin, if they begin one
	Subjects  Subjects // of that generation; nil: unchanged
	Terms     Terms    // of that generation
	Now       int64    // when its lifetime begins; 0: when it is written
}

// Terms are the program's settings for the end of one session. A zero field
// changes nothing.
type Terms struct {
	Lifetime int64 // ms, counted from the write
	Idle     int64 // ms; NoIdle for no limit
	Browser  int8  // positive: the session ends with the browser session; negative: it does not
}

// Begins reports whether the changes begin a generation.
func (c *Changes) Begins(v *View) bool { return v.Head == nil || c.Renewed || c.Destroyed }

// Find returns the index in c.Ops of the operation on a name, or where it would be
// inserted.
func (c *Changes) Find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.Ops, name, func(o Op, n string) int { return strings.Compare(o.Name, n) })
}
