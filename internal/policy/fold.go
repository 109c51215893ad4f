package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
)

// minFoldable is the least number of foldable cells for which a fold is worth it.
const minFoldable = 4

// foldable reports whether a fold can move an entry from its cell into the head. The
// entry must be small and settled, which means that no overlapping response is in
// flight.
func (d *decision) foldable(e *state.Entry) bool {
	return e.From != nil && !e.IsLarge() && e.Stamp.At <= d.Now-state.Settled
}

// fold returns a candidate with a head of the next turn, which holds the entries of
// all foldable cells. The cells stay until no request in flight can write them. ok
// reports whether a fold is due.
func (d *decision) fold(cand candidate) (out candidate, ok bool) {
	floor := state.Stamp{At: d.Now - state.Settled}
	if !d.foldDue(floor) {
		return candidate{}, false
	}
	h := d.View.Winner.Clone()
	h.Turn, h.Floor, h.Since = h.Turn+1, floor, d.Now
	h.SeenAt = max(h.SeenAt, d.Now)
	h.Tag = h.Root.HeadTag(h.Turn)
	h.Entries = d.foldedEntries(floor, cand.set)
	out = candidate{set: []*state.Cookie{h}, expire: append(d.leftovers(), d.replacedHeads(h.Tag)...)}
	for _, c := range cand.set {
		if c.Kind == state.Cell {
			out.set = append(out.set, c)
		}
	}
	out.expire = append(out.expire, cand.expire...)
	return out, true
}

// foldDue reports whether the session has enough foldable cells and may be folded.
// With a store there is no fold, because a response that moves the session to the
// store uses the same turn.
func (d *decision) foldDue(floor state.Stamp) bool {
	v := d.View
	if d.usesStore() || v.Stored() || !floor.After(v.Floor()) {
		return false
	}
	n := 0
	for i := range v.Entries {
		if d.foldable(&v.Entries[i]) {
			n++
		}
	}
	return n >= minFoldable && d.fitsTwice(v.Winner)
}

// foldedEntries returns the entries of the head that a fold sets. Entries that stay
// in a cell are listed.
func (d *decision) foldedEntries(floor state.Stamp, writes []*state.Cookie) (all []state.Entry) {
	listed := func(name string, at int64) state.Entry {
		return state.Entry{Name: name, Form: state.Listed, Stamp: state.Stamp{At: at}}
	}
	written := func(name string) *state.Cookie {
		for _, c := range writes {
			if c.Kind == state.Cell && c.Entry.Name == name {
				return c
			}
		}
		return nil
	}
	for i := range d.View.Entries {
		e := d.View.Entries[i]
		w := written(e.Name)
		switch {
		case w != nil:
			all = append(all, listed(e.Name, w.Entry.Stamp.At))
		case e.From == nil && e.Stamp.After(floor): // the session has moved back from the store
			all = append(all, e)
		case e.Live() && (e.From == nil || d.foldable(&e)):
			e.Stamp, e.From, e.Above = floor, nil, state.Stamp{}
			all = append(all, e)
		case e.From == nil: // a tombstone
		case d.foldable(&e): // a tombstone
		default:
			all = append(all, listed(e.Name, e.Stamp.At))
		}
	}
	for _, c := range writes {
		if c.Kind == state.Cell && d.View.Find(c.Entry.Name) == nil {
			all = append(all, listed(c.Entry.Name, c.Entry.Stamp.At))
		}
	}
	slices.SortFunc(all, func(a, b state.Entry) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}
