package fallback

import "time"

// reserve takes n bytes of the bound, and makes room for them if it must; not
// by dropping the row that they are for. It reports whether there was room.
func (m *Memory) reserve(n int64, except string) bool {
	if n > m.config.MaxBytes {
		return false // or all would be dropped in vain
	}
	for {
		used := m.used.Load()
		if used+n <= m.config.MaxBytes {
			if m.used.CompareAndSwap(used, used+n) {
				return true
			}
			continue
		}
		if !m.dropExpired() && !m.dropOldest(except) {
			return false
		}
	}
}

// dropExpired frees what has expired in any shard, a few rows of each.
func (m *Memory) dropExpired() bool {
	const atOnce = 16
	now, found := m.now(), false
	for i := range m.shards {
		removed, freed := m.shards[i].sweep(now, atOnce)
		m.used.Add(-freed)
		found = found || removed > 0
	}
	return found
}

// dropOldest drops the row that was used least recently of all. Looking at
// every shard costs about a microsecond, and only a full store does it.
func (m *Memory) dropOldest(except string) bool {
	for {
		var oldest *shard
		var at uint64
		for i := range m.shards {
			if used, ok := m.shards[i].oldest(except); ok && (oldest == nil || used < at) {
				oldest, at = &m.shards[i], used
			}
		}
		if oldest == nil {
			return false
		}
		if r := oldest.dropIf(at); r != nil {
			m.used.Add(-rowSize(r.id, r.data))
			m.tell(r)
			return true
		} // it was used in the meantime: look again
	}
}

func (m *Memory) tell(r *row) {
	m.evicted.Add(1)
	if m.config.OnEvict != nil {
		m.config.OnEvict(Eviction{ID: r.id, Bytes: len(r.data), Expires: time.UnixMilli(r.expires)})
	}
}
