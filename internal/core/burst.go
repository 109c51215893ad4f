package core

import "slices"

// What a burst of writes has left in the jar, as far as the policy asks.

// Newest is when the session was last written, as far as the jar shows (ms).
func (v *View) Newest() (at int64) {
	for i, f := range v.Fragments {
		if v.counts(i) {
			at = max(at, f.newest().At)
		}
	}
	return at
}

// MovedBefore tells whether the cookies have held the snapshot that says how far
// the state has moved since before a time. Its last-seen time is when it was
// written, or later; the stamps in it may be older, as after a Pop.
func (v *View) MovedBefore(at int64) bool {
	for i, f := range v.Fragments {
		if v.counts(i) && f.Snapshot() && !f.Stored && f.Moved == v.Moved && f.Seen < at {
			return true
		}
	}
	return false
}

// Recent is how many of the accepted fragments were written after a time.
func (v *View) Recent(after int64) (n int) {
	for i, f := range v.Fragments {
		if v.counts(i) && f.newest().At > after {
			n++
		}
	}
	return n
}

// Chained tells whether the accepted fragments are several and each saw all that
// are older: then nobody has written beside anybody for a while.
func (v *View) Chained() bool {
	parts := make([]*Fragment, 0, 8)
	for i, f := range v.Fragments {
		if v.counts(i) {
			parts = append(parts, f)
		}
	}
	slices.SortFunc(parts, func(a, b *Fragment) int { return a.newest().Compare(b.newest()) })
	for i, f := range parts {
		if !f.sawAll(parts[:i]) {
			return false
		}
	}
	return len(parts) > 1
}

func (f *Fragment) sawAll(older []*Fragment) bool {
	for _, g := range older {
		for _, e := range g.Entries {
			if e.Stamp.Compare(f.Floor) >= 0 && !f.saw(e) {
				return false
			}
		}
	}
	return true
}

// saw tells whether f's request had seen a write, or a newer one of its name.
func (f *Fragment) saw(e Entry) bool {
	if have, ok := f.Find(e.Name); ok {
		return newer(have, e) >= 0
	}
	for i := range f.Needs {
		if f.Needs[i].Name == e.Name {
			return f.Needs[i].Stamp.Compare(e.Stamp) >= 0
		}
	}
	return f.Snapshot() && e.Dead() && e.Stamp.At <= f.Horizon
}

// Parts is how many fragments make up the state.
func (v *View) Parts() (n int) {
	for i := range v.Fragments {
		if v.counts(i) {
			n++
		}
	}
	return n
}
