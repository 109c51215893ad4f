package state

import (
	"slices"
	"strings"
)

// Op is what a request does to one entry.
type Op struct {
	Name  string
	Value []byte // the new value as CBOR; nil deletes
	Pop   bool   // the value was read and deleted at once
}

// Changes is what a request does to its session, in this order: destroy, renew,
// clear, then the operations.
type Changes struct {
	Ops       []Op // by name, each once
	Cleared   bool
	Renewed   bool
	Destroyed bool
	Root      Root   // of the generation that these changes begin, if they begin one
	Subject   []byte // of that generation; nil to keep what there is
	Terms     Terms  // of that generation
	Now       int64  // when its lifetime begins; 0: when it is written
}

// Terms are what a program has said about the end of one session. A zero field
// keeps what there is.
type Terms struct {
	Lifetime int64 // ms, from the write on
	Idle     int64 // ms; NoIdle for no limit
	Browser  int8  // positive: the session ends with the browser session; negative: it does not
}

// Begins reports whether the changes begin a generation.
func (c *Changes) Begins(v *View) bool { return v.Head == nil || c.Renewed || c.Destroyed }

// Find returns where the operation on a name is, or would be.
func (c *Changes) Find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.Ops, name, func(o Op, n string) int { return strings.Compare(o.Name, n) })
}
