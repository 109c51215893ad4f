package core

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/carryon-go/carryon/internal/state"
)

// edits are a request's changes to its session, and its errors.
type edits struct {
	changes state.Changes
	loadErr error       // of the load
	faults  []error     // values that could not be encoded
	late    error       // of the first change that came too late
	room    [1]state.Op // buffer of changes.Ops: most requests change one value
}

// unedited is shared by all sessions without edits and never changed.
var unedited edits

// edit returns the session's own edits, and allocates them on first use.
func (c *Core) edit() *edits {
	if c.edits == &unedited {
		c.edits = &edits{}
	}
	return c.edits
}

// drop removes the edits and their errors, except for the error of a late change.
func (c *Core) drop() {
	late := c.late
	if c.edits = &unedited; late != nil {
		c.edit().late = late
	}
}

// base returns the entry of a name before the changes; nil if it has no value.
func (c *Core) base(name string) *state.Entry {
	if c.changes.Cleared || c.changes.Destroyed || c.view.Head == nil {
		return nil
	}
	if e := c.view.Find(name); e != nil && e.Live() {
		return e
	}
	return nil
}

func (c *Core) op(name string) (int, bool) { return c.changes.Find(name) }

// Set sets the value of a name. Equal bytes are not a change.
func (c *Core) Set(name string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(name, value)
}

// Swap sets the value of a name if it is still old, and reports whether it was.
func (c *Core) Swap(name string, old, value []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.holds(name, old) {
		return false
	}
	c.set(name, value)
	return true
}

// holds reports whether the value of a name is the given one; nil means none.
func (c *Core) holds(name string, value []byte) bool {
	have := c.get(name)
	return (have == nil) == (value == nil) && slices.Equal(have, value)
}

func (c *Core) set(name string, value []byte) {
	if !c.writable("Set") {
		return
	}
	if len(name) == 0 || len(name) > state.MaxName || !utf8.ValidString(name) {
		c.faults = append(c.faults, errors.New("carryon: a session key must have 1 to 255 bytes of UTF-8; choose another name"))
		return
	}
	if have := c.base(name); have != nil && have.HasValue(value) {
		c.undo(name)
		return
	}
	c.put(state.Op{Name: name, Value: value})
}

// Delete removes a name.
func (c *Core) Delete(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.get(name) != nil && c.writable("Delete") {
		c.remove(state.Op{Name: name})
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
	c.remove(state.Op{Name: name, Pop: true})
	return value
}

func (c *Core) remove(op state.Op) {
	if c.base(op.Name) == nil {
		c.undo(op.Name) // this request has set it
		return
	}
	c.put(op)
}

func (c *Core) put(op state.Op) {
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

// root creates the root of a new generation if the changes begin one.
func (c *Core) root() {
	if c.changes.Root == (state.Root{}) && c.changes.Begins(c.view) {
		c.changes.Root = state.NewRoot()
	}
}

// begins contains the methods that begin or end a generation, which needs the header.
var begins = map[string]bool{"Renew": true, "Login": true, "Destroy": true, "SetLifetime": true, "SetIdleTimeout": true, "SetBrowserSession": true}

// writable loads the session, reports whether a change can still have an effect, and
// allocates the edits.
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
	if c.view.Head != nil && !c.changes.Destroyed && slices.ContainsFunc(c.view.Entries, func(e state.Entry) bool { return e.Live() }) {
		c.changes.Cleared = true
	}
}

// Renew gives the session a new id and keeps its values.
func (c *Core) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writable("Renew") {
		c.changes.Renewed = true
		c.changes.Root = state.NewRoot()
	}
}

// Login renews the session and sets its subjects.
func (c *Core) Login(subject string, also ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writable("Login") {
		return
	}
	subjects, err := state.NewSubjects(subject, also...)
	if err != nil {
		c.faults = append(c.faults, err)
		return
	}
	c.changes.Renewed, c.changes.Root, c.changes.Subjects = true, state.NewRoot(), subjects
}

// SetTerms begins a new generation on other terms; change gets those so far.
func (c *Core) SetTerms(what string, change func(*state.Terms)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writable(what) {
		return
	}
	change(&c.changes.Terms)
	if c.view.Head != nil && !c.changes.Destroyed && !c.changes.Renewed {
		c.changes.Renewed, c.changes.Root = true, state.NewRoot()
	}
}

// SetLifetime begins a new generation that lives for d, within what is permitted.
func (c *Core) SetLifetime(d time.Duration) {
	c.SetTerms("SetLifetime", func(t *state.Terms) {
		_, lifetime, longest := c.backend.Lifetimes()
		most := max(lifetime, longest)
		t.Lifetime = min(max(d.Milliseconds(), 1000), most)
		if d.Milliseconds() != t.Lifetime {
			c.backend.Clamped("SetLifetime", d)
		}
	})
}

// Undecodable tells the backend of a value that is not of its key's type.
func (c *Core) Undecodable(name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backend.Undecodable(name, err)
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
		c.changes = state.Changes{Destroyed: true, Root: state.NewRoot()}
		c.faults = nil
	}
}
