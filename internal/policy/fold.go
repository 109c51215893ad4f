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
// reports whether a fold is due. With a store there is no fold, because a response
// that moves the session to the store uses the same turn.
func (d *decision) fold(cand candidate) (out candidate, ok bool) {
	v := d.View
	n := 0
	for i := range v.Entries {
		if d.foldable(&v.Entries[i]) {
			n++
		}
	}
	floor := state.Stamp{At: d.Now - state.Settled}
	if n < minFoldable || d.Store && d.Mode != CookiesOnly || d.FixedName || v.Imported || v.Stored() || !d.fitsTwice(v.Winner) || !floor.After(v.Floor()) {
		return candidate{}, false
	}
	h := v.Winner.Clone()
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
			e.Stamp, e.From, e.Above, e.AboveTurn = floor, nil, state.Stamp{}, 0
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

// leftovers lists the tags of cookies that no request needs any more. A new
// generation in flight may use a fixed tag, or one derived from an earlier
// generation. Such a tag is expired only once this generation is settled.
func (d *decision) leftovers() (tags []string) {
	v := d.View
	h := v.Winner
	now, gen := d.Now, h.Root.GenID()
	for _, c := range v.Cookies {
		own := c.Gen == gen && (c.Kind == state.Cell || c.Kind == state.Seen) || c.Kind == state.Head && c.Root == h.Root
		switch {
		case c == h:
		case !own && (now-h.Born.At >= state.Settled || c.Kind == state.Cell || c.Kind == state.Seen || c.UnderOwnTag()),
			own && c.Kind == state.Head && (c.Turn < h.Turn || c.Turn == h.Turn && !state.IsFixed(c.Tag)),
			own && c.Kind == state.Cell && c.Turn < h.Turn && now-h.Since >= state.Settled && !d.Conflict && !d.headLists(c.Entry.Name) && !d.isShown(c):
			tags = append(tags, c.Tag)
		}
	}
	for i := range d.Jar {
		if d.Jar[i].Unopenable {
			tags = append(tags, d.Jar[i].Tag)
		}
	}
	return tags
}

// isShown reports whether an entry shows from a cell.
func (d *decision) isShown(c *state.Cookie) bool {
	e := d.View.Find(c.Entry.Name)
	return e != nil && e.From == c
}

// touch renews the last-seen time if that is due, and expires leftovers. A touch
// cannot undo a write: it sets a head again only in the same turn or by a fold, and
// only if a second copy of the head fits.
func (d *decision) touch() Plan {
	v := d.View
	if v.Head == nil || !d.MayTouch || v.Unopened > 0 || !TouchDue(v, d.Now, d.Idle, d.Touch) {
		return Plan{}
	}
	h := v.Winner
	if v.Stored() {
		return d.touchRecord()
	}
	if d.FixedName {
		return d.touchFixed()
	}
	if cand, ok := d.touchHead(); ok {
		return cand.plan(false)
	}
	seen := &state.Cookie{Kind: state.Seen, Gen: h.Root.GenID(), SeenAt: d.Now, Tag: h.Root.SeenTag()}
	cand := candidate{set: []*state.Cookie{seen}, expire: slices.DeleteFunc(d.leftovers(), d.isWholeTag)}
	if d.checkLimits(&cand, d.Limits.RequestBytes) == nil {
		return cand.plan(false)
	}
	return Plan{} // the session may end early, but the browser is not locked out
}

// touchHead returns the candidate of a touch that folds or sets the head again. It
// never sets a head under a whole tag: the tag may hold a newer head by the time the
// response lands.
func (d *decision) touchHead() (cand candidate, ok bool) {
	h := d.View.Winner
	if slices.ContainsFunc(d.View.Cookies, func(c *state.Cookie) bool { return d.isWholeTag(c.Tag) }) {
		return candidate{}, false
	}
	if cand, ok := d.fold(candidate{}); ok && d.fitsCells(&cand) {
		return cand, true
	}
	if !d.fitsTwice(h) || slices.ContainsFunc(h.Entries, func(e state.Entry) bool { return e.Form == state.Value && e.IsLarge() }) {
		return candidate{}, false
	}
	again := d.refreshedHead()
	cand = candidate{set: []*state.Cookie{again}, expire: append(d.replacedHeads(again.Tag), d.leftovers()...)}
	return cand, d.checkLimits(&cand, d.Limits.RequestBytes) == nil
}

// touchFixed sets the only cookie again, in fixed-name mode.
func (d *decision) touchFixed() Plan {
	h := d.View.Winner.Clone()
	h.SeenAt, h.Tag = max(h.SeenAt, d.Now), ""
	cand := candidate{set: []*state.Cookie{h}}
	if d.checkLimits(&cand, d.Limits.RequestBytes) != nil {
		return Plan{}
	}
	return cand.plan(false)
}

// TouchDue reports whether a session's last-seen time must be renewed. The interval
// is touch, or half of the session's own idle timeout if it has one.
func TouchDue(v *state.View, now, idle, touch int64) bool {
	switch {
	case v.Head == nil:
		return false
	case v.Head.Idle != 0:
		idle, touch = v.Head.Idle, v.Head.Idle/2
	}
	return idle > 0 && idle < state.NoIdle && now-v.Seen >= touch
}

// persistImport writes a session that was imported from another library.
func (d *decision) persistImport() (Plan, error) {
	h := d.refreshedHead()
	cand := candidate{set: []*state.Cookie{h}}
	if d.FixedName {
		h.Tag = ""
	}
	var err error
	if d.Mode != StoredOnly {
		if err = d.checkLimits(&cand, d.Limits.RequestBytes-d.reserve()); err == nil {
			return cand.plan(true), nil
		}
	}
	return d.moveToStore(h, d.View.RowRevision, cand, err)
}
