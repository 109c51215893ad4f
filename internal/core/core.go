package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// Backend is what a Core asks of whoever made it. Load and Save are called
// under the Core's lock and must not call it back.
type Backend interface {
	// Load merges the request's session, under ctx or, where that is nil, the
	// request's own. It is called at most once. With an error it may still give what
	// can be told of it, for Destroy; without one it gives nil where there was nothing to
	// be looked at.
	Load(ctx context.Context) (*state.View, error)
	// Save writes what needs no header, and says what a commit would say. Where
	// the changes are in a store now, it gives the session as it is there.
	Save(ctx context.Context, o Outcome) (*state.View, error)
	// LateRead and LateChange are told of what happens after the header has gone.
	LateRead()
	LateChange(what string)
	// Lifetimes returns the time, the lifetime of a session that begins, and the
	// longest that a program may choose, in milliseconds.
	Lifetimes() (now, lifetime, longest int64)
	// Clamped is told of a lifetime that is not permitted.
	Clamped(what string, asked time.Duration)
	// Undecodable is told of a value that is not of its key's type.
	Undecodable(name string, err error)
}

// ErrLate is returned (wrapped) for a change after the response's header.
var ErrLate = ErrorFor(reason.LateChange, "the session was changed after the response's header had been written")

// Core is one request's session. It is safe for concurrent use.
type Core struct {
	mu      sync.Mutex
	backend Backend
	view    *state.View // nil until anything was asked of it
	*edits              // &unedited until there are any: most requests only read

	stage   atomic.Uint32 // changed without the lock, too
	sealed  bool          // the header has gone; after a Pass only once claim has looked
	open    bool          // the session lives in a store, which takes changes even then
	unasked bool          // the header has gone before anything was asked of the session
	began   bool          // this request began the session, and it is in a store already
}

// How far a Core has come. Most requests never ask for their session, or find none;
// their end costs one atomic operation in place of a lock.
const (
	unused  uint32 = iota
	absence        // it was loaded, there was nothing to be looked at, and nothing was done
	used
	passed // the header has gone, and the session had nothing to say
)

// Init prepares c, which may be part of a larger struct.
func (c *Core) Init(b Backend) { c.backend, c.edits = b, &unedited }

// requests is no context: a load under it is under the request's own.
var requests context.Context

// ContextKey is the key under which a context holds a request's *session.Session.
type ContextKey struct{}

var absent = &state.View{Verdict: reason.Absent}

var errPanicked = errors.New("carryon: the load of the session panicked; mend the Observer, importer or store whose panic " +
	"a handler has recovered from")

// load loads once, under ctx or the request's own. The lock is held.
func (c *Core) load(ctx context.Context) error {
	if c.view != nil {
		return c.loadErr
	}
	if !c.stage.CompareAndSwap(unused, used) && !c.sealed {
		c.sealed, c.unasked = true, true
	}
	defer func() {
		if c.view == nil { // for a handler that recovers it is a load that has failed
			c.view, c.edit().loadErr = absent, errPanicked
		}
	}()
	if c.sealed {
		c.backend.LateRead()
	}
	v, err := c.backend.Load(ctx)
	if err != nil {
		c.edit().loadErr = err
	}
	if c.view = v; v == nil {
		c.view = absent
		if err == nil && !c.sealed {
			c.stage.Store(absence)
		}
	}
	if c.unasked {
		c.open = c.view.Head != nil && c.view.Stored()
	}
	return err
}

// Load loads the session if it is not, under ctx (nil: the request's).
func (c *Core) Load(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(ctx)
}

// View is the merged session as it was loaded.
func (c *Core) View() *state.View {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	return c.view
}

// LoadErr is what the load ended in, if it has run.
func (c *Core) LoadErr() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadErr
}

// LateErr is the first change that came too late, if any did.
func (c *Core) LateErr() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

// Err is the first fault: of the load, of a value, or of a late change.
func (c *Core) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err()
}

func (c *Core) err() error {
	switch {
	case c.loadErr != nil:
		return c.loadErr
	case len(c.faults) > 0:
		return errors.Join(c.faults...)
	}
	return c.late
}

// Get returns the value of a name as CBOR, nil where there is none.
func (c *Core) Get(name string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(name)
}

func (c *Core) get(name string) []byte {
	if c.load(requests) != nil {
		return nil
	}
	if i, ok := c.op(name); ok {
		return c.changes.Ops[i].Value
	}
	if e := c.base(name); e != nil {
		return e.CBOR()
	}
	return nil
}

// Subject is whom the session is bound to; nil where it is not.
func (c *Core) Subject() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.load(requests) != nil:
		return nil
	case c.changes.Subject != nil:
		return c.changes.Subject
	case c.view.Head == nil || c.changes.Destroyed:
		return nil
	}
	return c.view.Head.Subject
}

// Names lists the names that have a value, sorted.
func (c *Core) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.load(requests) != nil {
		return nil
	}
	var names []string
	if !c.changes.Cleared && !c.changes.Destroyed && c.view.Head != nil {
		for i := range c.view.Entries {
			e := &c.view.Entries[i]
			if _, ok := c.op(e.Name); !ok && e.Live() {
				names = append(names, strings.Clone(e.Name))
			}
		}
	}
	for _, op := range c.changes.Ops {
		if op.Value != nil {
			names = append(names, op.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Generation tells which generation the session is in now: its root, and
// whether the visitor's browser brought it. A zero root means that nothing is
// written yet.
func (c *Core) Generation() (root state.Root, isNew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	switch {
	case c.writes() && c.changes.Begins(c.view):
		return c.changes.Root, c.begins()
	case c.view.Head == nil || c.changes.Destroyed:
		return state.Root{}, true
	}
	return c.view.Head.Root, c.began
}

// begins tells whether the session is this request's own.
func (c *Core) begins() bool { return c.began || c.view.Head == nil || c.changes.Destroyed }

// writes tells whether the changes leave a session to be written. A renewal of
// nothing, and nothing after a destruction, leave none.
func (c *Core) writes() bool {
	ch := &c.changes
	if ch.Destroyed || c.view.Head == nil {
		return len(ch.Ops) > 0 || ch.Subject != nil
	}
	return len(ch.Ops) > 0 || ch.Cleared || ch.Renewed
}

// Created is when the session began; zero if this request begins it.
func (c *Core) Created() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	if c.begins() {
		return 0
	}
	return c.view.Head.Created
}

// End is when the session's absolute lifetime ends, by the changes so far; zero if
// there is no session.
func (c *Core) End() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.load(requests) != nil {
		return 0
	}
	switch {
	case c.view.Head != nil && !c.changes.Destroyed && c.changes.Terms.Lifetime == 0:
		return c.view.Head.End
	case !c.writes():
		return 0
	}
	now, lifetime, longest := c.backend.Lifetimes()
	e := c.edit()
	if e.changes.Now == 0 {
		e.changes.Now = now // the end that is sealed counts from here, too
	}
	if asked := e.changes.Terms.Lifetime; asked != 0 {
		lifetime = min(asked, max(lifetime, longest))
	}
	return e.changes.Now + lifetime
}

// IdleEnd is when the session that the request brought ends if it is not used;
// zero where it does not, or is new.
func (c *Core) IdleEnd() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	if c.begins() {
		return 0
	}
	return c.view.IdleEnd
}

// Pass is Commit where there is nothing to say of the session itself: nothing was
// asked of it, or it was read and, by the backend's word, there was nothing to be
// looked at. asked tells which. It is for who would otherwise gather what Commit
// needs for nothing.
func (c *Core) Pass() (asked, ok bool) {
	switch stage := c.stage.Load(); stage {
	case unused, absence:
		return stage == absence, c.stage.CompareAndSwap(stage, passed)
	}
	return true, false
}

// Passed tells whether the header has gone without the session having had anything to
// say. Changes are too late then.
func (c *Core) Passed() bool { return c.stage.Load() == passed }

// claim is for who may have a change: either the response is still to come and will
// look at it, or it has passed.
func (c *Core) claim() {
	if c.stage.Load() == absence && c.stage.CompareAndSwap(absence, used) {
		return
	}
	if c.Passed() {
		c.sealed = true
	}
}

// Commit calls write, under the lock, with what is to be written. After it the
// session takes no more changes, unless write gives the session as it is in a
// store now.
func (c *Core) Commit(write func(Outcome) (*state.View, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claim()
	o := c.outcome()
	c.sealed, c.open, c.unasked = true, false, !o.Touched
	stored, err := write(o)
	if !o.Touched {
		c.stage.CompareAndSwap(unused, passed)
	}
	c.stand(stored)
	return err
}

// Save has the backend write what it can before the response, or after it.
func (c *Core) Save(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(ctx); err != nil {
		return err
	}
	if c.late != nil {
		return c.late
	}
	return c.save(ctx)
}

func (c *Core) save(ctx context.Context) error {
	o := c.outcome()
	if c.sealed && !o.Writes && o.Err == nil {
		return nil
	}
	stored, err := c.backend.Save(ctx, o)
	c.stand(stored)
	return err
}

// Finish writes what came after the header where a store takes it, and returns
// what was lost. A change that comes later still needs a Save of its own.
func (c *Core) Finish(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.sealed || !c.open {
		return c.late
	}
	if err := c.save(ctx); err != nil {
		return err
	}
	return c.late
}

// Locked calls f under the lock, for who looks at what a Backend's work may change.
func (c *Core) Locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// stand makes stored what further changes build on.
func (c *Core) stand(stored *state.View) {
	if stored == nil {
		return
	}
	c.began = c.begins()
	c.view, c.open = stored, true
	c.drop()
}

func (c *Core) outcome() Outcome {
	if c.view == nil {
		return Outcome{}
	}
	o := Outcome{Touched: true, View: c.view, Changes: &c.changes, Err: c.loadErr}
	if o.Err == nil {
		o.Err = errors.Join(c.faults...)
	}
	o.Writes = c.loadErr == nil && c.writes()
	return o
}

// Outcome is what a request leaves to be committed.
type Outcome struct {
	Touched bool           // anything was asked of the session
	View    *state.View    // nil where it was never loaded
	Changes *state.Changes // what the handler did
	Writes  bool           // the changes leave a session to be written
	Err     error          // of the load, or of a value that could not be encoded
}

// WithoutPops returns the outcome of a request whose response the visitor may
// never see: what was popped stays.
func (o Outcome) WithoutPops() Outcome {
	if !o.Writes || !slices.ContainsFunc(o.Changes.Ops, isPop) {
		return o
	}
	c := *o.Changes
	c.Ops = slices.DeleteFunc(slices.Clone(c.Ops), isPop)
	o.Changes, o.Writes = &c, len(c.Ops) > 0 || c.Cleared || c.Renewed
	return o
}

func isPop(op state.Op) bool { return op.Pop }
