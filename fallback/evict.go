package fallback

import (
	"fmt"
	"sync/atomic"
	"time"
)

// evictable reports whether records of this kind may be dropped to make room.
func (k Kind) evictable() bool { return k == KindSession || k == KindLogin }

// evicts reports whether a record of kind k may drive out one of kind other.
func (k Kind) evicts(other Kind) bool {
	switch other {
	case KindSession:
		return true
	case KindLogin:
		return k != KindSession && k != KindEnd
	}
	return false
}

// bound returns how many bytes the records of a kind that is never dropped may
// take, of max bytes. Together they leave a quarter to the others.
func (k Kind) bound(max int64) int64 {
	switch k {
	case KindEnd, KindRevocation:
		return max / 8
	case KindLoginEnd:
		return max / 2
	}
	return max
}

// room is what a Save has reserved: bytes of the whole, and of its kind.
type room struct {
	total, kindly int64
	kind          Kind
}

// reserve takes room for r, which is to replace a row (nil where there is
// none), and drops other rows if it must. The error is ErrFull.
func (m *Memory) reserve(r, had *row) (room, error) {
	want := room{total: r.size(), kindly: r.size(), kind: r.kind}
	if had != nil {
		want.total = max(0, r.size()-had.size())
		if had.kind == r.kind {
			want.kindly = want.total
		}
	}
	max := m.config.MaxBytes
	if want.total > max { // or all would be dropped in vain
		return room{}, m.full(r)
	}
	if r.kind.evictable() {
		m.usedBy[r.kind].Add(want.kindly)
	} else if !take(&m.usedBy[r.kind], want.kindly, r.kind.bound(max), m.dropExpired) {
		return room{}, m.full(r)
	}
	if !take(&m.used, want.total, max, func() bool { return m.dropExpired() || m.dropOldest(r) }) {
		m.usedBy[r.kind].Add(-want.kindly)
		return room{}, m.full(r)
	}
	return want, nil
}

func (m *Memory) full(r *row) error {
	return fmt.Errorf("%w: a record of %d bytes (%s) has no room in %d; raise MemoryConfig.MaxBytes",
		ErrFull, r.size(), r.kind, r.kind.bound(m.config.MaxBytes))
}

// take adds n to a count that may not exceed the bound, once drop has made room
// for it. It reports false if nothing is left to drop.
func take(count *atomic.Int64, n, bound int64, drop func() bool) bool {
	for {
		used := count.Load()
		switch {
		case n > 0 && used+n > bound:
			if !drop() {
				return false
			}
		case count.CompareAndSwap(used, used+n):
			return true
		}
	}
}

// giveBack returns what a Save has reserved in vain.
func (m *Memory) giveBack(got room) {
	m.used.Add(-got.total)
	m.usedBy[got.kind].Add(-got.kindly)
}

// settle counts r in place of what was reserved for it and of what it replaced.
func (m *Memory) settle(got room, r, had *row) {
	m.giveBack(got)
	m.used.Add(r.size())
	m.usedBy[r.kind].Add(r.size())
	m.free(had)
}

// free counts rows as gone. A nil row is none.
func (m *Memory) free(rows ...*row) {
	for _, r := range rows {
		if r != nil {
			m.used.Add(-r.size())
			m.usedBy[r.kind].Add(-r.size())
		}
	}
}

// dropExpired frees what has expired in any shard, a few rows of each.
func (m *Memory) dropExpired() bool {
	const atOnce = 16
	now, found := m.now(), false
	for i := range m.shards {
		removed := m.shards[i].sweep(now, atOnce)
		m.free(removed...)
		found = found || len(removed) > 0
	}
	return found
}

// dropOldest drops the row that was used least recently, of the first kind that
// r may drive out and that has one.
func (m *Memory) dropOldest(r *row) bool {
	for _, k := range []Kind{KindSession, KindLogin} {
		if r.kind.evicts(k) && m.dropOldestOf(k, r.id) {
			return true
		}
	}
	return false
}

// dropOldestOf drops the row of one kind that was used least recently. Looking
// at every shard costs about a microsecond, and only a full store does it.
func (m *Memory) dropOldestOf(k Kind, except string) bool {
	for {
		var oldest *shard
		var at uint64
		for i := range m.shards {
			if used, ok := m.shards[i].oldest(k, except); ok && (oldest == nil || used < at) {
				oldest, at = &m.shards[i], used
			}
		}
		if oldest == nil {
			return false
		}
		if r := oldest.dropIf(k, at); r != nil {
			m.free(r)
			m.tell(r)
			return true
		} // it was used in the meantime: look again
	}
}

func (m *Memory) tell(r *row) {
	m.evicted.Add(1)
	if m.config.OnEvict != nil {
		m.config.OnEvict(Eviction{ID: r.id, Kind: r.kind, Bytes: len(r.data), Expires: time.UnixMilli(r.expires)})
	}
}
