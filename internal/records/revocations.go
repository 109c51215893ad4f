package records

import (
	"context"
	"errors"
	"sync"
	"time"
)

// revocations remembers for a while what the store has said. It has no goroutine
// and takes a bounded amount of memory. What has been ended is remembered apart
// from what lives, so that a flood of new sessions drives out none of it.
type revocations struct {
	mu       sync.Mutex
	ended    memory // sessions, and subjects of whom some have been
	alive    memory
	inflight map[string]*question
	broken   time.Time // until when the store is not asked, for it has just failed
	err      error     // what it failed with
}

// memory holds answers in two generations, of which the older is dropped when the
// younger is full.
type memory struct{ recent, older map[string]cacheEntry }

type cacheEntry struct {
	Ending
	at time.Time // when it was asked for
}

// question is a call of the store that several requests wait for.
type question struct {
	at     time.Time
	done   chan struct{}
	ending Ending
	err    error
}

// maxAnswers is how many answers each generation of a memory holds.
const maxAnswers = 1 << 15

// failureBackoff is how long a store that has failed is left alone, so that sessions in
// cookies do not wait for it, one after the other.
const failureBackoff = time.Second

// errPanicked is what those get who wait for a store that has panicked.
var errPanicked = Down(errors.New("Config.Fallback panicked"))

// ask gives the answer for a row that is at most so old, of memory or of the
// store. ask with an age of 0 asks the store. With an error it gives what was
// known before, however old: what has been ended stays so.
func (r *revocations) ask(ctx context.Context, row string, now time.Time, age time.Duration, load func(context.Context) (Ending, error)) (Ending, error) {
	r.mu.Lock()
	known, ok := r.find(row)
	if ok && (known.Dead || fresh(known.at, now, age)) {
		r.mu.Unlock()
		return known.Ending, nil
	}
	if now.Before(r.broken) {
		defer r.mu.Unlock()
		return known.Ending, r.err
	}
	// What began before this request did may have missed a revocation that this
	// one has to see, if no staleness is allowed.
	if q := r.inflight[row]; q != nil && fresh(q.at, now, age) {
		r.mu.Unlock()
		select {
		case <-q.done:
			return q.ending, q.err
		case <-ctx.Done():
			return known.Ending, Down(ctx.Err())
		}
	}
	q := &question{at: now, done: make(chan struct{}), err: errPanicked}
	if r.inflight == nil {
		r.inflight = map[string]*question{}
	}
	r.inflight[row] = q
	r.mu.Unlock()

	defer r.answered(row, q, now)
	// Others wait for it: that this visitor hangs up must not fail them.
	bounded, cancel := detached(ctx)
	defer cancel()
	q.ending, q.err = load(bounded)
	q.ending = r.joined(row, q.ending)
	return q.ending, q.err
}

// fresh reports whether what was asked for at a time is of use still. It goes by
// both of Go's clocks: one stands still while the machine sleeps, the other can
// be set back.
func fresh(at, now time.Time, age time.Duration) bool {
	for _, passed := range []time.Duration{now.Sub(at), now.Round(0).Sub(at.Round(0))} {
		if passed < 0 || passed >= age {
			return false
		}
	}
	return true
}

// detached is ctx without its cancellation, but with its deadline.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	kept := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(kept, deadline)
	}
	return kept, func() {}
}

func (r *revocations) answered(row string, q *question, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.err == nil {
		r.keep(row, cacheEntry{q.ending, q.at})
	} else {
		r.broken, r.err = now.Add(failureBackoff), q.err
	}
	if r.inflight[row] == q {
		delete(r.inflight, row)
	}
	close(q.done)
}

// learn notes what this replica has itself put into the store.
func (r *revocations) learn(row string, m Ending, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(row, cacheEntry{m, now})
}

func (r *revocations) find(row string) (cacheEntry, bool) {
	if a, ok := r.ended.find(row); ok {
		return a, true
	}
	return r.alive.find(row)
}

// joined is m and what is known already: a store that was rolled back, or whose
// answer was on its way meanwhile, does not undo an end.
func (r *revocations) joined(row string, m Ending) Ending {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.join(row, m)
}

func (r *revocations) join(row string, m Ending) Ending {
	if have, ok := r.find(row); ok {
		m.Dead, m.Out, m.Before = m.Dead || have.Dead, m.Out || have.Out, max(m.Before, have.Before)
	}
	return m
}

// keep never forgets an end for an answer that was asked for before it.
func (r *revocations) keep(row string, a cacheEntry) {
	a.Ending = r.join(row, a.Ending)
	if a.Dead || a.Before > 0 {
		r.ended.put(row, a)
		return
	}
	r.alive.put(row, a)
}

func (m *memory) find(row string) (cacheEntry, bool) {
	if a, ok := m.recent[row]; ok {
		return a, true
	}
	a, ok := m.older[row]
	return a, ok
}

func (m *memory) put(row string, a cacheEntry) {
	if len(m.recent) >= maxAnswers {
		m.recent, m.older = nil, m.recent
	}
	if m.recent == nil {
		m.recent = map[string]cacheEntry{}
	}
	m.recent[row] = a
}
