package core

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// State is what a session says: for each name its newest write, tombstones
// included, and the two floors under which writes are dead.
type State struct {
	Entries []Entry // by name
	Floor   Stamp   // of the last Clear
	Horizon int64   // up to here, what is lacking is dead (ms)
}

// Find returns the entry of a name, tombstones included.
func (s *State) Find(name string) (Entry, bool) { return find(s.Entries, name) }

// shows tells whether s has all that t does, or something newer in its place.
func (s *State) shows(t *State) bool {
	all := Fragment{Needs: t.needs(nil, nil), Horizon: t.Horizon}
	return t.Floor.Compare(s.Floor) <= 0 && s.supports(&all, s.Horizon)
}

// newer orders two writes of one name: by stamp; of one stamp the tombstone
// wins, for it was put there by a Pop that saw the value. The rest only makes
// the order total.
func newer(a, b Entry) int {
	if c := a.Stamp.Compare(b.Stamp); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Gone, b.Gone); c != 0 {
		return c
	}
	return bytes.Compare(a.Value, b.Value)
}

// Join is the least state that knows both a and b. It is commutative,
// associative and idempotent; it looks at stamps, never at who came first.
func Join(a, b State) State { return joinInto(nil, a, b) }

// joinInto is Join, with its entries in room where that suffices.
func joinInto(room []Entry, a, b State) State {
	out := State{Floor: laterStamp(a.Floor, b.Floor), Horizon: max(a.Horizon, b.Horizon)}
	out.Entries = roomFor(room, len(a.Entries)+len(b.Entries))
	keep := func(e Entry) {
		if e.Stamp.Compare(out.Floor) >= 0 {
			out.Entries = append(out.Entries, e)
		}
	}
	i, j := 0, 0
	for i < len(a.Entries) && j < len(b.Entries) {
		x, y := a.Entries[i], b.Entries[j]
		switch c := strings.Compare(x.Name, y.Name); {
		case c < 0:
			keep(x)
			i++
		case c > 0:
			keep(y)
			j++
		default:
			if newer(x, y) >= 0 {
				keep(x)
			} else {
				keep(y)
			}
			i, j = i+1, j+1
		}
	}
	for _, e := range a.Entries[i:] {
		keep(e)
	}
	for _, e := range b.Entries[j:] {
		keep(e)
	}
	return out
}

// roomFor is room, emptied, where that suffices for n; else a new list.
func roomFor[T any](room []T, n int) []T {
	if room == nil || n > cap(room) {
		return make([]T, 0, n)
	}
	return room[:0]
}

// joinAll joins the states of many fragments at once: one by one the work would
// grow with the square of what a client sends. It sorts pointers, which are quicker
// to move, and of whose sort every program has a copy already.
func joinAll(room []Entry, parts []*Fragment) (out State) {
	if len(parts) == 2 {
		return joinInto(room, parts[0].state(), parts[1].state())
	}
	n := 0
	for _, f := range parts {
		out.Floor, out.Horizon = laterStamp(out.Floor, f.Floor), max(out.Horizon, f.Horizon)
		n += len(f.Entries)
	}
	all := make([]*Entry, 0, n)
	for _, f := range parts {
		for i := range f.Entries {
			if e := &f.Entries[i]; e.Stamp.Compare(out.Floor) >= 0 {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Entry) int { return cmp.Or(strings.Compare(a.Name, b.Name), newer(*b, *a)) })
	out.Entries = roomFor(room, n)
	for i, e := range all {
		if i == 0 || e.Name != all[i-1].Name {
			out.Entries = append(out.Entries, *e)
		}
	}
	return out
}

func (f *Fragment) state() State {
	return State{Entries: f.Entries, Floor: f.Floor, Horizon: f.Horizon}
}

// collect drops the tombstones that nothing in flight can contradict any more
// and raises the horizon over them.
func (s *State) collect(loaded int64) {
	limit := settled(loaded)
	top, any := s.Horizon, false
	for _, e := range s.Entries {
		if e.Dead() && e.Gone <= limit {
			top, any = max(top, e.Stamp.At), true
		}
	}
	if !any {
		return
	}
	s.Horizon = top
	s.Entries = slices.DeleteFunc(slices.Clone(s.Entries), func(e Entry) bool {
		return e.Dead() && e.Gone <= limit
	})
}

// settled is the time before which all that was written has landed for whoever
// loads now, or never will. It is rounded so that readers who tidy the same jar
// at about the same time write the same content.
func settled(loaded int64) int64 {
	limit := loaded - Settled
	return limit - limit%Window
}
