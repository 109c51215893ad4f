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

// Backend loads and saves the session of a [Core]. Its methods are called under the
// Core's lock and must not call the Core.
type Backend interface {
	// Load reads the request's session, under ctx or, if ctx is nil, under the
	// request's own context. It is called at most once. It returns nil if the request
	// carries no session. Together with an error it may return what is known of the
	// session, for Destroy.
	Load(ctx context.Context) (*state.View, error)
	// Save writes changes to the store if the session is kept there, and returns the
	// session as it is in the store then. It returns the error that a commit would
	// return.
	Save(ctx context.Context, o Outcome) (*state.View, error)
	// LateRead and LateChange report a read or a change after the header was sent.
	// what names the method.
	LateRead()
	LateChange(what string)
	// Lifetimes returns the time, the lifetime of a session that begins, and the
	// longest that a program may choose, in milliseconds.
	Lifetimes() (now, lifetime, longest int64)
	// Clamped reports a lifetime outside of the permitted range.
	Clamped(what string, asked time.Duration)
	// Undecodable reports a value that does not decode as its key's type.
	Undecodable(name string, err error)
}

// ErrLate is returned (wrapped) after a change that came after the response's header.
var ErrLate = ErrorFor(reason.LateChange, "the session was changed after the response's header had been written")

// Core is one request's session. It is safe for concurrent use.
type Core struct {
	mu      sync.Mutex
	backend Backend
	view    *state.View // nil until anything was asked of it
	*edits              // &unedited until there are any: most requests only read

	stage   atomic.Uint32 // also changed without the lock
	sealed  bool          // the header was sent; after a Pass, set by the next claim
	open    bool          // the session is in a store, which takes changes after the header, too
	unasked bool          // the header was sent before the session was first used
	began   bool          // this request began the session, and it is in a store already
}

// The stages of a Core. Most requests never use their session, or have none. Their
// commit costs one atomic operation instead of a lock.
const (
	unused  uint32 = iota
	absence        // the request carries no session, and nothing was changed
	used
	passed // the header was sent without cookies of the session
)

// Init prepares c, which may be part of a larger struct.
func (c *Core) Init(b Backend) { c.backend, c.edits = b, &unedited }

// requests is nil, which makes a load use the request's own context.
var requests context.Context

// ContextKey is the key under which a context holds a request's *session.Session.
type ContextKey struct{}

var absent = &state.View{Verdict: reason.Absent}

var errPanicked = errors.New("carryon: the load of the session panicked; repair the Observer, importer or store whose panic " +
	"a handler has recovered from")

// load loads the session on its first call, under ctx or the request's context. The
// lock must be held.
func (c *Core) load(ctx context.Context) error {
	if c.view != nil {
		return c.loadErr
	}
	if !c.stage.CompareAndSwap(unused, used) && !c.sealed {
		c.sealed, c.unasked = true, true
	}
	defer func() {
		if c.view == nil { // Load panicked; a handler that recovers sees a failed load
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

// Load loads the session on first use, under ctx, or under the request's context if
// ctx is nil.
func (c *Core) Load(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(ctx)
}

// View returns the session as it was loaded.
func (c *Core) View() *state.View {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	return c.view
}

// Loaded reports whether the session has been loaded, or a load has failed.
func (c *Core) Loaded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view != nil
}

// LoadErr returns the error of the load, if it has run.
func (c *Core) LoadErr() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadErr
}

// LateErr returns the error of the first change that came too late, or nil.
func (c *Core) LateErr() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

// Err returns the first error: of the load, of values, or of a late change.
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

// Get returns the value of a name as CBOR, or nil if there is none.
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

// Subjects returns the subjects of the session, or nil if it has none.
func (c *Core) Subjects() state.Subjects {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.load(requests) != nil:
		return nil
	case c.changes.Subjects != nil:
		return c.changes.Subjects
	case c.view.Head == nil || c.changes.Destroyed:
		return nil
	}
	return c.view.Head.Subjects
}

// Names returns the names that have a value, sorted.
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

// Generation returns the root of the session's generation, and reports whether the
// session is new, that is, not from the request. The root is zero if nothing has
// been written yet.
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

// begins reports whether this request begins the session.
func (c *Core) begins() bool { return c.began || c.view.Head == nil || c.changes.Destroyed }

// writes reports whether there is a session to write after the changes. Without a
// session, a renewal alone writes none.
func (c *Core) writes() bool {
	ch := &c.changes
	if ch.Destroyed || c.view.Head == nil {
		return len(ch.Ops) > 0 || ch.Subjects != nil
	}
	return len(ch.Ops) > 0 || ch.Cleared || ch.Renewed
}

// Created returns when the session began, or 0 if this request begins it.
func (c *Core) Created() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	if c.begins() {
		return 0
	}
	return c.view.Head.Created
}

// End returns when the session's absolute lifetime ends, including the changes so
// far, or 0 if there is no session.
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
		e.changes.Now = now // so that the commit seals the same end
	}
	if asked := e.changes.Terms.Lifetime; asked != 0 {
		lifetime = min(asked, max(lifetime, longest))
	}
	return e.changes.Now + lifetime
}

// IdleEnd returns when the session ends if it is not used. It is 0 for a new session
// or without an idle timeout.
func (c *Core) IdleEnd() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load(requests)
	if c.begins() {
		return 0
	}
	return c.view.IdleEnd
}

// Pass replaces Commit for a session that was not used, or that the request does not
// carry and nothing has changed. ok reports whether that is so, and asked reports
// whether the session was read. It saves the caller the input of Commit.
func (c *Core) Pass() (asked, ok bool) {
	switch stage := c.stage.Load(); stage {
	case unused, absence:
		return stage == absence, c.stage.CompareAndSwap(stage, passed)
	}
	return true, false
}

// Passed reports whether Pass has succeeded. Later changes are too late.
func (c *Core) Passed() bool { return c.stage.Load() == passed }

// claim makes sure that the commit sees a change that follows. If the header was sent
// by a Pass, claim marks the core as sealed.
func (c *Core) claim() {
	if c.stage.Load() == absence && c.stage.CompareAndSwap(absence, used) {
		return
	}
	if c.Passed() {
		c.sealed = true
	}
}

// Commit calls write with the outcome, under the lock. Later changes are refused,
// unless write returns the session as it is in a store now.
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
	c.rebase(stored)
	return err
}

// Save has the backend write changes to the store, before or after the header.
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
	c.rebase(stored)
	return err
}

// Finish saves changes that came after the header if the session is in a store. It
// returns an error if a change was lost. A change after Finish needs its own Save.
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

// Locked calls f under the lock, so that the backend's methods do not run meanwhile.
func (c *Core) Locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// rebase makes stored the session to which further changes apply.
func (c *Core) rebase(stored *state.View) {
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

// Outcome is the state of a session that a commit has to write.
type Outcome struct {
	Touched bool           // the session was used
	View    *state.View    // nil if it was never loaded
	Changes *state.Changes // the handler's changes
	Writes  bool           // there is a session to write after the changes
	Err     error          // of the load, or of a value that could not be encoded
}

// WithoutPops returns the outcome without the removals by Pop, for a response that
// the visitor may never see.
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
