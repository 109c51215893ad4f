package core

import (
	"context"

	"github.com/carryon-go/carryon/internal/state"
)

// OnceID identifies one state of a value that is replaced only once. It is random
// and secret, because it opens the replacement in the store.
type OnceID [16]byte

// Replacement is a new value and how it came about.
type Replacement struct {
	Value []byte
	Known bool // an earlier call has made it
	Alone bool // no other replica can have made another one
}

// Replacer is a [Backend] that makes requests replace a value only once.
type Replacer interface {
	// Once calls do, unless the value with the given id has been replaced or is being
	// replaced, and returns the result of do. If do is nil and Once would call it, the
	// error is [ErrLate]. The end of ctx ends the wait, not the call of do. Once is not
	// called under the Core's lock.
	Once(ctx context.Context, id OnceID, do func(context.Context) ([]byte, error)) (Replacement, error)
}

// Once is the backend's Once. Without a [Replacer] it only calls do. If it is too late
// for a change, do is not called, because its result would be lost.
func (c *Core) Once(ctx context.Context, id OnceID, do func(context.Context) ([]byte, error)) (Replacement, error) {
	if c.tooLate() {
		do = nil
	}
	if r, ok := c.backend.(Replacer); ok {
		return r.Once(ctx, id, do)
	}
	if do == nil {
		return Replacement{}, ErrLate
	}
	value, err := do(ctx)
	return Replacement{Value: value, Alone: true}, err
}

// Offer sets or, if value is nil, deletes the value of a name if that is still old. If
// it is too late for a change, Offer changes nothing and reports nothing.
func (c *Core) Offer(name string, old, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.holds(name, old) || c.tooLateLocked():
	case value != nil:
		c.set(name, value)
	case old != nil && c.writable("Delete"):
		c.remove(state.Op{Name: name})
	}
}

// tooLate reports whether [Core.Offer] changes nothing.
func (c *Core) tooLate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tooLateLocked()
}

func (c *Core) tooLateLocked() bool { return c.Passed() || c.sealed && !c.open }

// Now returns the time of the backend, in milliseconds.
func (c *Core) Now() int64 {
	now, _, _ := c.backend.Lifetimes()
	return now
}
