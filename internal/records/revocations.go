package records

import (
	"context"
	"errors"
	"sync"
	"time"
)

// revocations caches the statuses of sessions and subjects. It needs no goroutine
// and its memory is bounded. Ended sessions have a cache of their own, so that
// any number of new sessions cannot evict them.
type revocations struct {
	mu           sync.Mutex
	ended        statusCache // ended sessions, and subjects with ended sessions
	live         statusCache
	inflight     map[string]*inflightLoad
	backoffUntil time.Time // the store has failed: no call is made until then
	lastErr      error     // of the call that failed
}

// statusCache has two halves. When the recent half is full, the older one is
// dropped and the recent one takes its place.
type statusCache struct{ recent, older map[string]cacheEntry }

type cacheEntry struct {
	Status
	at time.Time // when the load began
}

// inflightLoad is a load that several requests wait for.
type inflightLoad struct {
	at     time.Time
	done   chan struct{}
	status Status
	err    error
}

// maxCached is how many statuses each half of a statusCache holds.
const maxCached = 1 << 15

// failureBackoff is the pause after a failed load. Without the pause, each session in
// cookies would wait for the store's timeout.
const failureBackoff = time.Second

// errPanicked is the error for requests that wait for a load that panics.
var errPanicked = Down(errors.New("the store of Config.Fallback panicked"))

// lookup returns a row's status from the cache if that is younger than age, else
// from load. An ended session is never loaded again, because it stays ended. With
// an error lookup returns the cached status, however old.
func (r *revocations) lookup(ctx context.Context, row string, now time.Time, age time.Duration, load func(context.Context) (Status, error)) (Status, error) {
	r.mu.Lock()
	known, ok := r.findLocked(row)
	if ok && (known.Ended || fresh(known.at, now, age)) {
		r.mu.Unlock()
		return known.Status, nil
	}
	if now.Before(r.backoffUntil) {
		defer r.mu.Unlock()
		return known.Status, r.lastErr
	}
	// A load that began too long ago may have missed a revocation that this request
	// must see.
	if l := r.inflight[row]; l != nil && fresh(l.at, now, age) {
		r.mu.Unlock()
		select {
		case <-l.done:
			return l.status, l.err
		case <-ctx.Done():
			return known.Status, Down(ctx.Err())
		}
	}
	l := &inflightLoad{at: now, done: make(chan struct{}), err: errPanicked}
	if r.inflight == nil {
		r.inflight = map[string]*inflightLoad{}
	}
	r.inflight[row] = l
	r.mu.Unlock()

	defer r.finish(row, l, now)
	// Other requests may wait for this load: it continues if this visitor disconnects.
	bounded, cancel := detached(ctx)
	defer cancel()
	l.status, l.err = load(bounded)
	l.status = r.withCached(row, l.status)
	return l.status, l.err
}

// fresh reports whether a load that began at a time is younger than age. Both of Go's
// clocks must agree: the monotonic clock stops while the machine sleeps, and the wall
// clock can be set back.
func fresh(at, now time.Time, age time.Duration) bool {
	for _, passed := range []time.Duration{now.Sub(at), now.Round(0).Sub(at.Round(0))} {
		if passed < 0 || passed >= age {
			return false
		}
	}
	return true
}

// detached returns ctx without its cancellation but with its deadline.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	kept := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(kept, deadline)
	}
	return kept, func() {}
}

// finish caches the result of a load and wakes the requests that wait for it.
func (r *revocations) finish(row string, l *inflightLoad, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.err == nil {
		r.putLocked(row, cacheEntry{l.status, l.at})
	} else {
		r.backoffUntil, r.lastErr = now.Add(failureBackoff), l.err
	}
	if r.inflight[row] == l {
		delete(r.inflight, row)
	}
	close(l.done)
}

// remember caches a status that this replica has written to the store.
func (r *revocations) remember(row string, s Status, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putLocked(row, cacheEntry{s, now})
}

// cached returns the cached status of a row, however old.
func (r *revocations) cached(row string) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, _ := r.findLocked(row)
	return e.Status
}

func (r *revocations) findLocked(row string) (cacheEntry, bool) {
	if e, ok := r.ended.get(row); ok {
		return e, true
	}
	return r.live.get(row)
}

// withCached returns s combined with the cached status. An end that is cached is
// kept, even if the store was rolled back or the load began before that end.
func (r *revocations) withCached(row string, s Status) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.withCachedLocked(row, s)
}

func (r *revocations) withCachedLocked(row string, s Status) Status {
	if have, ok := r.findLocked(row); ok {
		s.Ended, s.LoggedOut, s.BoundUpTo = s.Ended || have.Ended, s.LoggedOut || have.LoggedOut, max(s.BoundUpTo, have.BoundUpTo)
	}
	return s
}

// putLocked caches a status without forgetting a cached end.
func (r *revocations) putLocked(row string, e cacheEntry) {
	e.Status = r.withCachedLocked(row, e.Status)
	if e.Ended || e.BoundUpTo > 0 {
		r.ended.put(row, e)
		return
	}
	r.live.put(row, e)
}

func (m *statusCache) get(row string) (cacheEntry, bool) {
	if e, ok := m.recent[row]; ok {
		return e, true
	}
	e, ok := m.older[row]
	return e, ok
}

func (m *statusCache) put(row string, e cacheEntry) {
	if len(m.recent) >= maxCached {
		m.recent, m.older = nil, m.recent
	}
	if m.recent == nil {
		m.recent = map[string]cacheEntry{}
	}
	m.recent[row] = e
}
