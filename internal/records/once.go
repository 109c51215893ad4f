package records

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/carryon-go/carryon/internal/core"
)

// The times of a replacement.
const (
	onceLimit   = 30 * time.Second       // for one call of the program's function, and for the wait for a lease
	onceKept    = 10 * time.Minute       // for which requests with the old value get the new one
	onceBackoff = time.Second            // in which a failure is not tried again
	leaseTime   = 10 * time.Second       // after which other replicas take over from a holder that has died
	leasePoll   = 200 * time.Millisecond // the longest pause between two looks at another's lease
)

// replacements are the replacements that this process makes and has made. The
// results are kept in two halves: when the recent half is full, the older one is
// dropped and the recent one takes its place.
type replacements struct {
	mu            sync.Mutex
	running       map[core.OnceID]*replacing
	recent, older map[core.OnceID]*replacing
	bytes         int // of the recent half
}

// maxReplacements is the size of each half, in bytes of values and estimated
// overhead.
const maxReplacements = 8 << 20

// replacing is one run of the program's function. The fields after done are set
// before done is closed.
type replacing struct {
	done     chan struct{}
	at       time.Time
	result   core.Replacement
	err      error
	panicked string // the panic's value and stack
}

// Once calls do, unless the value with the given id has been replaced or is being
// replaced, and returns what do returned. Among the goroutines of this process, and
// among all replicas that share the store, do runs once at a time and never after it
// has succeeded. The end of ctx ends the wait, not the call of do.
//
// Without a store, or while it does not answer, another replica may also call its do.
//
// If do is nil, Once only returns what another call has made or makes, or
// [core.ErrLate].
func (c *Client) Once(ctx context.Context, l Listener, id core.OnceID, do func(context.Context) ([]byte, error)) (core.Replacement, error) {
	run, started := c.replacements.find(id, c.Clock(), do != nil)
	if run == nil {
		return c.published(ctx, l, id)
	}
	if started {
		go c.run(context.WithoutCancel(ctx), l, id, run, do)
	}
	select {
	case <-run.done:
	case <-ctx.Done():
		return core.Replacement{}, fmt.Errorf("carryon: the request ended before its session's value was replaced: %w", ctx.Err())
	}
	if started && run.panicked != "" {
		panic(run.panicked)
	}
	r := run.result
	r.Known = r.Known || !started
	return r, run.err
}

// published returns the value that another replica has put into the store.
func (c *Client) published(ctx context.Context, l Listener, id core.OnceID) (core.Replacement, error) {
	if c.Store != nil {
		lease := &lease{access: &Access{Client: c, Listener: l}, id: id}
		row, err := lease.access.loadRow(ctx, lease.row())
		if value, ok := lease.open(row); err == nil && ok {
			return core.Replacement{Value: value, Known: true}, nil
		}
	}
	return core.Replacement{}, core.ErrLate
}

// find returns the run of an id. If there is none, find returns nil or, if start is
// set, a new run that the caller must begin.
func (r *replacements) find(id core.OnceID, now time.Time, start bool) (run *replacing, started bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if run = r.lookupLocked(id, now); run != nil || !start {
		return run, false
	}
	run = &replacing{done: make(chan struct{})}
	if r.running == nil {
		r.running = map[core.OnceID]*replacing{}
	}
	r.running[id] = run
	return run, true
}

// lookupLocked returns the run of an id that has not ended or whose result is kept, or
// nil.
func (r *replacements) lookupLocked(id core.OnceID, now time.Time) *replacing {
	if run := r.running[id]; run != nil {
		return run
	}
	run := r.recent[id]
	if run == nil {
		run = r.older[id]
	}
	if run == nil || !fresh(run.at, now, run.keptFor()) {
		return nil
	}
	return run
}

func (run *replacing) keptFor() time.Duration {
	if run.err != nil {
		return onceBackoff
	}
	return onceKept
}

var errOncePanicked = errors.New("carryon: the function that replaces a value of the session panicked in another request; repair that function")

// run calls do under a lease and wakes those who wait for the result.
func (c *Client) run(ctx context.Context, l Listener, id core.OnceID, run *replacing, do func(context.Context) ([]byte, error)) {
	run.err = errOncePanicked
	defer func() {
		if p := recover(); p != nil {
			run.panicked = fmt.Sprintf("%v [recovered]\n\n%s", p, debug.Stack())
		}
		run.at = c.Clock()
		c.replacements.finish(id, run)
	}()
	limited := func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, onceLimit)
		defer cancel()
		return do(ctx)
	}
	if c.Store == nil {
		run.result.Value, run.err = limited(ctx)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*onceLimit) // for the wait, do, and the store
	defer cancel()
	lease := &lease{access: &Access{Client: c, Listener: l}, id: id, time: leaseTime}
	run.result, run.err = lease.once(ctx, limited)
}

// finish keeps the run's result and wakes those who wait for it.
func (r *replacements) finish(id core.OnceID, run *replacing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, id)
	size := len(run.result.Value) + 200
	if r.bytes+size > maxReplacements {
		r.recent, r.older, r.bytes = nil, r.recent, 0
	}
	if r.recent == nil {
		r.recent = map[core.OnceID]*replacing{}
	}
	r.recent[id] = run
	r.bytes += size
	close(run.done)
}
