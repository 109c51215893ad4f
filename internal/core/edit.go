package core

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// edits are what a request does to its session, and what went wrong with it.
type edits struct {
	changes Changes
	loadErr error   // why there is no session to be seen
	faults  []error // values that could not be encoded
	late    error   // the first change that came too late
	room    [1]Op   // for changes.Ops: most requests change one value
}

// unedited is shared, and never written to: see edit.
var unedited edits

// edit makes room for an edit.
func (c *Core) edit() *edits {
	if c.edits == &unedited {
		c.edits = &edits{}
	}
	return c.edits
}

// drop forgets the edits, and what was wrong with them, but not that one came too
// late.
func (c *Core) drop() {
	late := c.late
	if c.edits = &unedited; late != nil {
		c.edit().late = late
	}
}

// base is what the handler's reads fall through to.
func (c *Core) base(name string) (Entry, bool) {
	if c.changes.Cleared || c.changes.Destroyed || c.view.Head == nil {
		return Entry{}, false
	}
	e, ok := c.view.State.Find(name)
	return e, ok && !e.Dead()
}

func (c *Core) op(name string) (int, bool) { return findOp(c.changes.Ops, name) }

// findOp is where a name is, or would be, among operations by name.
func findOp(ops []Op, name string) (int, bool) {
	return slices.BinarySearchFunc(ops, name, func(o Op, n string) int { return strings.Compare(o.Name, n) })
}

// Set gives a name a value; equal bytes are no change.
func (c *Core) Set(name string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(name, value)
}

// Swap sets a name only if its value is still old, and tells whether it was.
func (c *Core) Swap(name string, old, value []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.get(name); (have == nil) != (old == nil) || !slices.Equal(have, old) {
		return false
	}
	c.set(name, value)
	return true
}

func (c *Core) set(name string, value []byte) {
	if !c.writable("Set") {
		return
	}
	if len(name) == 0 || len(name) > MaxName || !utf8.ValidString(name) {
		c.faults = append(c.faults, errors.New("carryon: a session key must have 1 to 255 bytes of UTF-8; choose another name"))
		return
	}
	have, ok := c.base(name)
	if ok && slices.Equal(have.Value, value) {
		c.undo(name)
		return
	}
	c.put(Op{Name: name, Value: value})
}

// Delete removes a name.
func (c *Core) Delete(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.get(name) != nil && c.writable("Delete") {
		c.remove(name, Stamp{})
	}
}

// Pop returns the value of a name and removes it.
func (c *Core) Pop(name string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	value := c.get(name)
	if value == nil || !c.writable("Pop") {
		return value
	}
	e, _ := c.base(name)
	c.remove(name, e.Stamp)
	return value
}

func (c *Core) remove(name string, taken Stamp) {
	if _, ok := c.base(name); !ok {
		c.undo(name) // it was set by this very request
		return
	}
	c.put(Op{Name: name, Taken: taken})
}

func (c *Core) put(op Op) {
	if c.changes.Ops == nil {
		c.changes.Ops = c.room[:0]
	}
	i, ok := c.op(op.Name)
	if ok {
		c.changes.Ops[i] = op
	} else {
		c.changes.Ops = slices.Insert(c.changes.Ops, i, op)
	}
	c.root()
}

func (c *Core) undo(name string) {
	if i, ok := c.op(name); ok {
		c.changes.Ops = slices.Delete(c.changes.Ops, i, i+1)
	}
}

// root draws the root of the generation that the changes begin, if they do.
func (c *Core) root() {
	if c.changes.Root == (Root{}) && c.changes.Begins(c.view) {
		c.changes.Root = NewRoot()
	}
}

// begins lists the changes that begin or end a generation, which needs the header.
var begins = map[string]bool{"Renew": true, "Bind": true, "Destroy": true, "SetLifetime": true, "SetIdleTimeout": true, "SetBrowserSession": true}

// writable loads and tells whether a change still has an effect; it makes room for it.
func (c *Core) writable(what string) bool {
	if c.load(requests) != nil {
		return false // the commit reports the load's error; nothing may look written
	}
	c.claim()
	if c.sealed && (!c.open || begins[what]) {
		if c.late == nil {
			c.edit().late = ErrLate
		}
		c.backend.LateChange(what)
		return false
	}
	c.edit()
	return true
}

// Fault notes a value that could not be encoded; the commit reports it.
func (c *Core) Fault(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writable("Set") {
		c.faults = append(c.faults, err)
	}
}

// Clear removes every name.
func (c *Core) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writable("Clear") {
		return
	}
	c.changes.Ops, c.faults = nil, nil
	if c.view.Head != nil && !c.changes.Destroyed && slices.ContainsFunc(c.view.State.Entries, alive) {
		c.changes.Cleared = true
	}
}

func alive(e Entry) bool { return !e.Dead() }

// Renew gives the session a new id and keeps its values.
func (c *Core) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writable("Renew") {
		c.changes.Renewed = true
		c.changes.Root = NewRoot()
	}
}

// Bind renews the session and says whose it is.
func (c *Core) Bind(subject []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writable("Bind") {
		return
	}
	if len(subject) == 0 || len(subject) > MaxSubject {
		c.faults = append(c.faults, errors.New("carryon: a subject has 1 to 255 bytes; bind the session to a user's id"))
		return
	}
	c.changes.Renewed, c.changes.Root, c.changes.Subject = true, NewRoot(), slices.Clone(subject)
}

// SetTerms begins a new generation on other terms; change gets those so far.
func (c *Core) SetTerms(what string, change func(*Terms)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writable(what) {
		return
	}
	change(&c.changes.Terms)
	if c.view.Head != nil && !c.changes.Destroyed && !c.changes.Renewed {
		c.changes.Renewed, c.changes.Root = true, NewRoot()
	}
}

// Destroy ends the session; what is set afterwards begins another. It needs
// nothing of what is in it, so that it goes through where the load has failed
// but can tell what there is to end.
func (c *Core) Destroy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.load(requests) != nil && c.view != absent && !c.sealed {
		c.loadErr = nil
	}
	if c.writable("Destroy") {
		c.changes = Changes{Destroyed: true, Root: NewRoot()}
		c.faults = nil
	}
}
