package fallback

import (
	"container/heap"
	"maps"
	"slices"
	"sync"
)

// shard is a part of a Memory, with a lock of its own that is held for a few
// steps only. Its methods say which of them expect it to be held.
type shard struct {
	mu     sync.Mutex
	rows   map[string]*row
	ends   ends        // all rows, by when they expire
	recent [kinds]list // those that may be dropped, least recently used first
}

// row is a record in memory. Its data is never written to.
type row struct {
	id         string
	revision   Revision
	data       []byte
	expires    int64 // in milliseconds
	kind       Kind
	used       uint64 // when it was last used, in ticks
	place      int    // in ends
	prev, next *row   // in recent
}

// size is what a row takes of MaxBytes.
func (r *row) size() int64 { return int64(len(r.id) + len(r.data) + rowBytes) }

// done is answered in place of a row where the Save has happened before.
var done = new(row)

// init makes the shard empty. Once it is used, that needs the lock.
func (s *shard) init() {
	s.rows, s.ends = make(map[string]*row), nil
	for i := range s.recent {
		s.recent[i].init()
	}
}

// standing returns the row that a Save will replace, or nil if there is none;
// done if the Save has happened before; or ErrConflict.
func (s *shard) standing(id string, old, new Revision, now int64) (*row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compare(id, old, new, now)
}

// compare needs the lock.
func (s *shard) compare(id string, old, new Revision, now int64) (*row, error) {
	r := s.rows[id]
	stands := r != nil && r.expires > now
	switch {
	case stands && r.revision == new:
		return done, nil
	case stands && r.revision != old, !stands && !old.IsZero():
		return nil, ErrConflict
	}
	return r, nil
}

// replace puts r in the place of what compare finds, and returns that.
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
	heap.Push(&s.ends, r)
	if r.kind.evictable() {
		s.recent[r.kind].push(r)
	}
	return had, nil
}

// live needs the lock.
func (s *shard) live(id string, now int64) *row {
	if r := s.rows[id]; r != nil && r.expires > now {
		return r
	}
	return nil
}

// use needs the lock.
func (s *shard) use(r *row, tick uint64) {
	r.used = tick
	if r.kind.evictable() {
		s.recent[r.kind].remove(r)
		s.recent[r.kind].push(r)
	}
}

// expireAt needs the lock.
func (s *shard) expireAt(r *row, at int64) {
	r.expires = at
	heap.Fix(&s.ends, r.place)
}

// remove needs the lock. It returns r, which is to be counted as gone.
func (s *shard) remove(r *row) *row {
	delete(s.rows, r.id)
	heap.Remove(&s.ends, r.place)
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

// sweep removes up to limit rows that have expired and returns them.
func (s *shard) sweep(now int64, limit int) (removed []*row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(removed) < limit && len(s.ends) > 0 && s.ends[0].expires <= now {
		removed = append(removed, s.remove(s.ends[0]))
	}
	return removed
}

// bury removes the row of an id if it has expired, and returns it.
func (s *shard) bury(id string, now int64) *row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rows[id]; r != nil && r.expires <= now {
		return s.remove(r)
	}
	return nil
}

// oldest returns when the row of a kind was used that would be dropped next.
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

// dropIf drops the row that was last used at that tick, if it is still there
// and has not been used since; it is the first or the second of its list.
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

// ends is a heap of rows, the first to expire on top.
type ends []*row

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].expires < e[j].expires }
func (e ends) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

// Push is for container/heap.
func (e *ends) Push(x any) {
	r := x.(*row)
	r.place = len(*e)
	*e = append(*e, r)
}

// Pop is for container/heap.
func (e *ends) Pop() any {
	last := len(*e) - 1
	r := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return r
}

// list is a ring of rows around a root, which is none of them.
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
