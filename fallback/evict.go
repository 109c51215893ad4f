package fallback

import (
	"fmt"
	"sync/atomic"
	"time"
)

// evictable reports whether records of this kind may be evicted.
func (k Kind) evictable() bool { return k == KindSession || k == KindLogin }

// evicts reports whether saving a record of kind k may evict one of kind
// other.
func (k Kind) evicts(other Kind) bool {
	switch other {
	case KindSession:
		return true
	case KindLogin:
		return k != KindSession && k != KindEnd
	}
	return false
}

// bound returns how many of max bytes the records of a kind that is never
// evicted may use. Together they leave a quarter for the other kinds.
func (k Kind) bound(max int64) int64 {
	switch k {
	case KindEnd, KindRevocation:
		return max / 8
	case KindLoginEnd:
		return max / 2
	}
	return max
}

// reservation is the space that a Save has reserved, in total and for its
// kind, in bytes.
type reservation struct {
	total, ofKind int64
	kind          Kind
}

// reserve reserves space for r, which will replace the row had (nil if there
// is none). It evicts other rows if necessary. The error is ErrFull.
func (m *Memory) reserve(r, had *row) (reservation, error) {
	want := reservation{total: r.size(), ofKind: r.size(), kind: r.kind}
	if had != nil {
		want.total = max(0, r.size()-had.size())
		if had.kind == r.kind {
			want.ofKind = want.total
		}
	}
	max := m.config.MaxBytes
	if want.total > max { // otherwise all rows would be evicted in vain
		return reservation{}, m.full(r)
	}
	if r.kind.evictable() {
		m.usedBy[r.kind].Add(want.ofKind)
	} else if !take(&m.usedBy[r.kind], want.ofKind, r.kind.bound(max), m.dropExpired) {
		return reservation{}, m.full(r)
	}
	if !take(&m.used, want.total, max, func() bool { return m.dropExpired() || m.dropOldest(r) }) {
		m.usedBy[r.kind].Add(-want.ofKind)
		return reservation{}, m.full(r)
	}
	return want, nil
}

func (m *Memory) full(r *row) error {
	return fmt.Errorf("%w: a record of %d bytes (%s) does not fit into the limit of %d bytes; raise MemoryConfig.MaxBytes",
		ErrFull, r.size(), r.kind, r.kind.bound(m.config.MaxBytes))
}

// take adds n to a count that must not exceed bound. It calls drop to free
// space and returns false if nothing is left to drop.
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

// release returns a reservation that was not used.
func (m *Memory) release(got reservation) {
	m.used.Add(-got.total)
	m.usedBy[got.kind].Add(-got.ofKind)
}

// commit replaces a reservation by the size of r, which has taken the place of had (nil
// if there was none). Each count changes once: while it is too high, another Save
// would evict rows in vain, and while it is too low, take more than there is.
func (m *Memory) commit(got reservation, r, had *row) {
	used, ofKind := r.size()-got.total, r.size()-got.ofKind
	if had != nil {
		used -= had.size()
		if had.kind == r.kind {
			ofKind -= had.size()
		} else {
			m.usedBy[had.kind].Add(-had.size())
		}
	}
	m.used.Add(used)
	m.usedBy[r.kind].Add(ofKind)
}

// free subtracts rows from the counts. It ignores nil rows.
func (m *Memory) free(rows ...*row) {
	for _, r := range rows {
		if r != nil {
			m.used.Add(-r.size())
			m.usedBy[r.kind].Add(-r.size())
		}
	}
}

// dropExpired removes up to 16 expired rows of each shard and reports whether
// there were any.
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

// dropOldest evicts the least recently used row of the first kind that r may
// evict, and reports whether there was one.
func (m *Memory) dropOldest(r *row) bool {
	for _, k := range []Kind{KindSession, KindLogin} {
		if r.kind.evicts(k) && m.dropOldestOf(k, r.id) {
			return true
		}
	}
	return false
}

// dropOldestOf evicts the least recently used row of a kind. Checking every
// shard takes about a microsecond, and only a full store does it.
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
			m.reportEviction(r)
			return true
		} // the row was used in the meantime: search again
	}
}

func (m *Memory) reportEviction(r *row) {
	m.evicted.Add(1)
	if m.config.OnEvict != nil {
		m.config.OnEvict(Eviction{ID: r.id, Kind: r.kind, Bytes: len(r.data), Expires: time.UnixMilli(r.expires)})
	}
}
