package middleware

import (
	"context"
	"errors"
	"sync"
	"time"
)

// mark is what the store has on one session's id, or on one subject.
type mark struct {
	dead   bool  // the session has been ended
	out    bool  // by a logout or a renewal
	before int64 // sessions that were bound to the subject up to then have been ended (ms)
}

// revocations remembers for a while what the store has said. It has no goroutine
// and takes a bounded amount of memory. What has been ended is remembered apart
// from what lives, so that whoever begins sessions without end drives out none
// of it.
type revocations struct {
	mu     sync.Mutex
	ended  memory // sessions, and subjects of whom some have been
	alive  memory
	asking map[string]*question
	broken time.Time // until when the store is not asked, for it has just failed
	err    error     // what it failed with
}

// memory holds answers in two generations, of which the older is dropped when the
// younger is full.
type memory struct{ recent, older map[string]answer }

type answer struct {
	mark
	at time.Time // when it was asked for
}

// question is a call of the store that several requests wait for.
type question struct {
	at   time.Time
	done chan struct{}
	mark mark
	err  error
}

// maxAnswers is how many answers each generation of a memory holds.
const maxAnswers = 1 << 15

// breather is how long a store that has failed is left alone, so that sessions in
// cookies do not wait for it, one after the other.
const breather = time.Second

// errPanicked is what those get who wait for a store that has panicked.
var errPanicked = storeDown(errors.New("Config.Fallback panicked"))

// ask gives the answer for a row that is at most so old, of memory or of the
// store. ask with an age of 0 asks the store. With an error it gives what was
// known before, however old: what has been ended stays so.
func (r *revocations) ask(ctx context.Context, row string, now time.Time, age time.Duration, load func(context.Context) (mark, error)) (mark, error) {
	r.mu.Lock()
	known, ok := r.find(row)
	if ok && (known.dead || fresh(known.at, now, age)) {
		r.mu.Unlock()
		return known.mark, nil
	}
	if now.Before(r.broken) {
		defer r.mu.Unlock()
		return known.mark, r.err
	}
	// What began before this request did may have missed a revocation that this
	// one has to see, if no staleness is allowed.
	if q := r.asking[row]; q != nil && fresh(q.at, now, age) {
		r.mu.Unlock()
		select {
		case <-q.done:
			return q.mark, q.err
		case <-ctx.Done():
			return known.mark, storeDown(ctx.Err())
		}
	}
	q := &question{at: now, done: make(chan struct{}), err: errPanicked}
	if r.asking == nil {
		r.asking = map[string]*question{}
	}
	r.asking[row] = q
	r.mu.Unlock()

	defer r.answered(row, q, now)
	// Others wait for it: that this visitor hangs up must not fail them.
	bounded, cancel := patient(ctx)
	defer cancel()
	q.mark, q.err = load(bounded)
	q.mark = r.joined(row, q.mark)
	return q.mark, q.err
}

// fresh tells whether what was asked for at a time is of use still. It goes by
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

// patient is ctx without its cancellation, but with its deadline.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
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
		r.keep(row, answer{q.mark, q.at})
	} else {
		r.broken, r.err = now.Add(breather), q.err
	}
	if r.asking[row] == q {
		delete(r.asking, row)
	}
	close(q.done)
}

// learn notes what this replica has itself put into the store.
func (r *revocations) learn(row string, m mark, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(row, answer{m, now})
}

func (r *revocations) find(row string) (answer, bool) {
	if a, ok := r.ended.find(row); ok {
		return a, true
	}
	return r.alive.find(row)
}

// joined is m and what is known already: a store that was rolled back, or whose
// answer was on its way meanwhile, does not undo an end.
func (r *revocations) joined(row string, m mark) mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.join(row, m)
}

func (r *revocations) join(row string, m mark) mark {
	if have, ok := r.find(row); ok {
		m.dead, m.out, m.before = m.dead || have.dead, m.out || have.out, max(m.before, have.before)
	}
	return m
}

// keep never forgets an end for an answer that was asked for before it.
func (r *revocations) keep(row string, a answer) {
	a.mark = r.join(row, a.mark)
	if a.dead || a.before > 0 {
		r.ended.put(row, a)
		return
	}
	r.alive.put(row, a)
}

func (m *memory) find(row string) (answer, bool) {
	if a, ok := m.recent[row]; ok {
		return a, true
	}
	a, ok := m.older[row]
	return a, ok
}

func (m *memory) put(row string, a answer) {
	if len(m.recent) >= maxAnswers {
		m.recent, m.older = nil, m.recent
	}
	if m.recent == nil {
		m.recent = map[string]answer{}
	}
	m.recent[row] = a
}
