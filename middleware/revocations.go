package middleware

import (
	"context"
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
// and takes a bounded amount of memory: of two generations of answers the older
// is dropped when the younger is full.
type revocations struct {
	mu     sync.Mutex
	recent map[string]answer
	older  map[string]answer
	asking map[string]*question
	broken time.Time // until when the store is not asked, for it has just failed
	err    error     // what it failed with
}

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

// maxAnswers is how many answers each generation holds, about 100 bytes each.
const maxAnswers = 1 << 15

// breather is how long a store that has failed is left alone, so that sessions in
// cookies do not wait for it, one after the other.
const breather = time.Second

// ask gives the answer for a row that is at most so old, of memory or of the
// store. ask with an age of 0 asks the store.
func (r *revocations) ask(ctx context.Context, row string, now time.Time, age time.Duration, load func(context.Context) (mark, error)) (mark, error) {
	r.mu.Lock()
	if a, ok := r.find(row); ok && (a.dead || now.Sub(a.at) < age) {
		r.mu.Unlock()
		return a.mark, nil
	}
	if now.Before(r.broken) {
		defer r.mu.Unlock()
		return mark{}, r.err
	}
	// What began before this request did may have missed a revocation that this
	// one has to see, if no staleness is allowed.
	if q := r.asking[row]; q != nil && now.Sub(q.at) < age {
		r.mu.Unlock()
		select {
		case <-q.done:
			return q.mark, q.err
		case <-ctx.Done():
			return mark{}, storeDown(ctx.Err())
		}
	}
	q := &question{at: now, done: make(chan struct{})}
	if r.asking == nil {
		r.asking = map[string]*question{}
	}
	r.asking[row] = q
	r.mu.Unlock()

	// Others wait for it: that this visitor hangs up must not fail them.
	q.mark, q.err = load(context.WithoutCancel(ctx))
	r.answered(row, q, now)
	return q.mark, q.err
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
	if a, ok := r.recent[row]; ok {
		return a, true
	}
	a, ok := r.older[row]
	return a, ok
}

// keep never forgets an end for an answer that was asked for before it.
func (r *revocations) keep(row string, a answer) {
	if have, ok := r.find(row); ok {
		a.dead, a.out, a.before = a.dead || have.dead, a.out || have.out, max(a.before, have.before)
	}
	if len(r.recent) >= maxAnswers {
		r.recent, r.older = nil, r.recent
	}
	if r.recent == nil {
		r.recent = map[string]answer{}
	}
	r.recent[row] = a
}
