package fallback

import (
	"container/heap"
	"maps"
	"slices"
	"sync"
)

// shard is a part of a Memory. Its lock is held only briefly. The comments say
// which methods need the lock held.
type shard struct {
	mu       sync.Mutex
	rows     map[string]*row
	expiries expiryHeap  // all rows by expiry
	recent   [kinds]list // evictable rows, least recently used first
}

// row is a record in memory. Its data is never modified.
type row struct {
	id         string
	revision   Revision
	data       []byte
	expires    int64 // in milliseconds
	kind       Kind
	used       uint64 // tick of the last use
	place      int    // index in expiries
	prev, next *row   // links in recent
}

// size returns how much of MaxBytes the row uses.
func (r *row) size() int64 { return int64(len(r.id) + len(r.data) + rowBytes) }

// done is returned in place of a row if the Save has happened before.
var done = new(row)

// init empties the shard. The lock must be held if the shard is in use.
func (s *shard) init() {
	s.rows, s.expiries = make(map[string]*row), nil
	for i := range s.recent {
		s.recent[i].init()
	}
}

// current returns the row that a Save will replace, or nil if there is none.
// It returns done if the Save has happened before, and ErrConflict if the
// revision does not match.
func (s *shard) current(id string, old, new Revision, now int64) (*row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compare(id, old, new, now)
}

// compare is current with the lock held.
func (s *shard) compare(id string, old, new Revision, now int64) (*row, error) {
	r := s.rows[id]
	exists := r != nil && r.expires > now
	switch {
	case exists && r.revision == new:
		return done, nil
	case exists && r.revision != old, !exists && !old.IsZero():
		return nil, ErrConflict
	}
	return r, nil
}

// replace puts r in place of the row that compare returns, and returns that
// row.
func (s *shard) replace(old Revision, r *row, now int64) (had *row, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had, err = s.compare(r.id, old, r.revision, now)
	if err != nil || had == done {
		return had, err
	}
	if had != nil {
		s.remove(had)
	}
	s.rows[r.id] = r
	heap.Push(&s.expiries, r)
	if r.kind.evictable() {
		s.recent[r.kind].push(r)
	}
	return had, nil
}

// live returns the row if it has not expired. The lock must be held.
func (s *shard) live(id string, now int64) *row {
	if r := s.rows[id]; r != nil && r.expires > now {
		return r
	}
	return nil
}

// use marks a row as used. The lock must be held.
func (s *shard) use(r *row, tick uint64) {
	r.used = tick
	if r.kind.evictable() {
		s.recent[r.kind].remove(r)
		s.recent[r.kind].push(r)
	}
}

// expireAt sets the expiry of a row. The lock must be held.
func (s *shard) expireAt(r *row, at int64) {
	r.expires = at
	heap.Fix(&s.expiries, r.place)
}

// remove removes a row and returns it; the caller frees its bytes. The lock
// must be held.
func (s *shard) remove(r *row) *row {
	delete(s.rows, r.id)
	heap.Remove(&s.expiries, r.place)
	if r.kind.evictable() {
		s.recent[r.kind].remove(r)
	}
	return r
}

func (s *shard) count(now int64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.expires > now {
			n++
		}
	}
	return n
}

// clear removes all rows and returns them.
func (s *shard) clear() (removed []*row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	removed = slices.Collect(maps.Values(s.rows))
	s.init()
	return removed
}

// sweep removes up to limit expired rows and returns them.
func (s *shard) sweep(now int64, limit int) (removed []*row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(removed) < limit && len(s.expiries) > 0 && s.expiries[0].expires <= now {
		removed = append(removed, s.remove(s.expiries[0]))
	}
	return removed
}

// removeExpired removes the row of an id if it has expired, and returns it.
func (s *shard) removeExpired(id string, now int64) *row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rows[id]; r != nil && r.expires <= now {
		return s.remove(r)
	}
	return nil
}

// oldest returns the last use of the row of a kind that would be evicted next.
func (s *shard) oldest(k Kind, except string) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.recent[k].first()
	if r != nil && r.id == except {
		r = s.recent[k].after(r)
	}
	if r == nil {
		return 0, false
	}
	return r.used, true
}

// dropIf removes the row whose last use is the given tick, unless it was
// removed or used since. That row is the first or second of its list.
func (s *shard) dropIf(k Kind, used uint64) *row {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.recent[k].first()
	if r != nil && r.used != used {
		r = s.recent[k].after(r)
	}
	if r == nil || r.used != used {
		return nil
	}
	s.remove(r)
	return r
}

// expiryHeap is a heap of rows, ordered by expiry.
type expiryHeap []*row

func (e expiryHeap) Len() int           { return len(e) }
func (e expiryHeap) Less(i, j int) bool { return e[i].expires < e[j].expires }
func (e expiryHeap) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

// Push implements heap.Interface.
func (e *expiryHeap) Push(x any) {
	r := x.(*row)
	r.place = len(*e)
	*e = append(*e, r)
}

// Pop implements heap.Interface.
func (e *expiryHeap) Pop() any {
	last := len(*e) - 1
	r := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return r
}

// list is a circular list of rows; root is a sentinel.
type list struct{ root row }

func (l *list) init() { l.root.prev, l.root.next = &l.root, &l.root }

func (l *list) first() *row { return l.after(&l.root) }

func (l *list) after(r *row) *row {
	if r.next == &l.root {
		return nil
	}
	return r.next
}

func (l *list) push(r *row) {
	r.prev, r.next = l.root.prev, &l.root
	r.prev.next, r.next.prev = r, r
}

func (l *list) remove(r *row) {
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = nil, nil
}
