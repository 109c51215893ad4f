package policy

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/state"
)

// change writes the changes to an existing session. A session that was written whole
// is written whole again, until it is renewed or moves to the store. A response that
// wrote cells instead would have to expire the whole tag, which may hold a newer
// head by the time the response lands.
func (d *decision) change() (Plan, error) {
	if d.View.Stored() {
		return d.changeRecord()
	}
	if d.Mode == StoredOnly {
		w := d.whole()
		return d.moveToStore(w.set[0], d.View.RowRevision, w, nil)
	}
	if !d.FixedName && !d.Changes.Cleared && !d.isWhole(d.View.Winner) {
		p, ok, err := d.changeCells()
		if ok || err != nil && !d.usesStore() {
			return p, err
		}
	}
	w := d.whole()
	if d.usesStore() && !d.FixedName && !d.Changes.Cleared {
		return d.moveToStore(w.set[0], d.View.RowRevision, w, nil) // where overlapping writes all count
	}
	if len(d.InFlight) > 0 && d.grows() && len(d.others()) > 0 && !d.Changes.Cleared {
		return Plan{}, d.crowded() // the last response would count, and what the others add would be lost
	}
	var margin Size
	if d.grows() {
		margin = d.margin(w.set[0]) // it has to fit a renewal, too
		margin.Request = beginPad
	}
	err := d.checkLimitsWith(&w, margin)
	if err != nil {
		return d.moveToStore(w.set[0], d.View.RowRevision, w, err)
	}
	p := w.plan(true)
	p.Whole = !d.Changes.Cleared
	for _, op := range d.Changes.Ops {
		if op.Value != nil && d.moreThanShows(op.Name, len(op.Value)) != 0 {
			p.Grows = append(p.Grows, Growth{op.Name, len(op.Value)})
		}
	}
	return p, nil
}

// usesStore reports whether a session that needs the store may move there.
func (d *decision) usesStore() bool { return d.Store && d.Mode != CookiesOnly }

// changeCells writes one cell for each entry that changes. ok reports whether
// that fits; the error is that of an entry for which other requests, which are
// adding entries at this moment, leave no room.
func (d *decision) changeCells() (p Plan, ok bool, err error) {
	cand := d.cells()
	if len(cand.set) == 0 {
		return Plan{}, true, nil // nothing that is there was deleted
	}
	if folded, ok := d.fold(cand); ok && d.fitsCells(&folded) {
		cand = folded
	} else if !d.fitsCells(&cand) {
		if d.growsBesideOthers() {
			return Plan{}, false, d.crowded()
		}
		return Plan{}, false, nil
	}
	if d.growsBesideOthers() && !d.fitsBeside(&cand) {
		return Plan{}, false, d.crowded()
	}
	p = cand.plan(true)
	p.Whole = d.replacesWhole(&p)
	p.Grows = d.grown(&cand)
	return p, true, nil
}

// growsBesideOthers reports whether this request adds to the session while others
// do.
func (d *decision) growsBesideOthers() bool {
	return len(d.InFlight) > 0 && d.grows() && len(d.others()) > 0
}

// others lists what only other requests are adding now, as far as this one does
// not show it: how many bytes more than it shows.
func (d *decision) others() (all []Growth) {
	for _, g := range d.InFlight {
		if _, own := d.Changes.Find(g.Name); own {
			continue
		}
		if more := d.moreThanShows(g.Name, g.Bytes); more != 0 {
			all = append(all, Growth{g.Name, more})
		}
	}
	return all
}

// cells returns the candidate that writes each changed entry into its cell.
func (d *decision) cells() (cand candidate) {
	v := d.View
	moved := false // the head holds a large value that is being written
	cand.set = d.scratch[:0]
	for _, op := range d.Changes.Ops {
		e := v.Find(op.Name)
		if op.Value == nil && (e == nil || !e.Live()) {
			continue
		}
		c := d.cell(op, e)
		cand.set = append(cand.set, c)
		for _, old := range v.Cookies {
			if old.Kind == state.Cell && old.Tag != c.Tag && old.Entry.Name == op.Name && old.Gen == c.Gen {
				cand.expire = append(cand.expire, old.Tag)
			}
		}
		moved = moved || d.headHoldsLarge(op.Name)
	}
	if len(cand.set) == 0 {
		return cand
	}
	if moved || d.needsOwnTag() {
		cand.set = slices.Insert(cand.set, 0, d.headWithoutLarge(cand.set))
		cand.expire = append(cand.expire, d.replacedHeads(cand.set[0].Tag)...)
	}
	cand.expire = append(cand.expire, d.leftovers()...)
	return cand
}

// headHoldsLarge reports whether the head holds a large value of an entry, even if
// the entry shows from a cell.
func (d *decision) headHoldsLarge(name string) bool {
	e := d.inHead(name)
	return e != nil && e.Form == state.Value && e.IsLarge()
}

// inHead returns the head's entry of a name, or nil.
func (d *decision) inHead(name string) *state.Entry {
	all := d.View.Winner.Entries
	i, ok := slices.BinarySearchFunc(all, name, func(e state.Entry, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		return nil
	}
	return &all[i]
}

// cell returns the cell for an operation. e is the entry as it shows, or nil.
func (d *decision) cell(op state.Op, e *state.Entry) *state.Cookie {
	h := d.View.Winner
	c := &state.Cookie{Kind: state.Cell, Gen: h.Root.GenID(), Turn: h.Turn}
	c.Tag = h.Root.CellTag(op.Name, h.Turn)
	if e != nil && e.From != nil && (e.From.Turn == h.Turn || d.headLists(op.Name)) {
		c.Tag = e.From.Tag // other requests write the entry under this tag, too
	}
	if op.Value == nil {
		c.Entry = state.Entry{Name: op.Name, Stamp: d.stamp, Form: state.Deleted}
		return c
	}
	c.Entry = state.NewEntry(op.Name, d.stamp, op.Value)
	c.SeenEntries = d.seenEntries(op.Name)
	return c
}

// headLists reports whether the head lists an entry.
func (d *decision) headLists(name string) bool {
	e := d.inHead(name)
	return e != nil && e.Form == state.Listed
}

// seenEntries lists the other entries that show from cells and are newer than the
// floor by more than Slack. Readers do not check older ones.
func (d *decision) seenEntries(name string) (all []state.SeenEntry) {
	v := d.View
	floor := v.Floor().At
	for i := range v.Entries {
		e := &v.Entries[i]
		if e.From != nil && e.Name != name && e.Stamp.At-state.Slack > floor {
			all = append(all, state.SeenEntry{Name: e.Name, At: e.Stamp.At, Deleted: e.Form == state.Deleted})
		}
	}
	return all
}

// needsOwnTag reports whether the head must be set under a tag of its own: it has
// none yet, or a fixed one that first requests and logins overwrite.
func (d *decision) needsOwnTag() bool {
	h := d.View.Winner
	return d.View.Imported || state.IsFixed(h.Tag) && d.fitsTwice(h)
}

// headTag returns the tag under which the head is set again in the same turn.
func (d *decision) headTag() string {
	h := d.View.Winner
	if d.needsOwnTag() {
		return h.Root.HeadTag(h.Turn)
	}
	return h.Tag
}

// headWithoutLarge returns the head without those large values that are in a cell.
// cells are the new cells.
func (d *decision) headWithoutLarge(cells []*state.Cookie) *state.Cookie {
	h := d.refreshedHead()
	for i := range h.Entries {
		e := &h.Entries[i]
		if e.Form != state.Value || !e.IsLarge() {
			continue
		}
		shows := d.View.Find(e.Name)
		written := slices.ContainsFunc(cells, func(c *state.Cookie) bool { return c.Entry.Name == e.Name })
		switch {
		case written:
			*e = state.Entry{Name: e.Name, Form: state.Listed, Stamp: state.Stamp{At: d.stamp.At}}
		case shows != nil && shows.From != nil:
			*e = state.Entry{Name: e.Name, Form: state.Listed, Stamp: state.Stamp{At: shows.Stamp.At}}
		}
	}
	return h
}

// refreshedHead returns a copy of the head with a new last-seen time, under headTag.
func (d *decision) refreshedHead() *state.Cookie {
	h := d.View.Winner.Clone()
	h.Entries = slices.Clone(h.Entries)
	h.SeenAt = max(h.SeenAt, d.Now)
	h.Tag = d.headTag()
	return h
}

// whole returns the candidate that writes the whole session into one head, in the
// next turn. Slow responses may set older copies of such a head again. If the limits
// have no room for a copy, the new head gets the tag of the old one.
func (d *decision) whole() candidate {
	old := d.View.Winner
	h := old.Clone()
	h.Turn, h.Floor, h.Since = old.Turn+1, d.stamp, d.stamp.At
	h.SeenAt = max(old.SeenAt, d.Now)
	h.Entries = d.entriesAfter()
	h.Row = state.Revision{}
	h.Tag = old.Root.WholeTag(h.Turn)
	switch {
	case d.FixedName:
		h.Tag = ""
	case d.Changes.Cleared:
		h.Tag = old.Root.ClearTag(h.Turn)
	case d.isWhole(old) && !d.fitsBesideCopies(old, h):
		h.Tag = old.Tag
	}
	cand := candidate{set: []*state.Cookie{h}, expire: d.leftovers()}
	cand.expire = append(append(cand.expire, d.cellTags()...), d.replacedHeads(h.Tag)...)
	return cand
}

// isWhole reports whether a head is under a whole tag.
func (d *decision) isWhole(h *state.Cookie) bool { return d.isWholeTag(h.Tag) }

// isWholeTag reports whether a tag is one of the session's two whole tags.
func (d *decision) isWholeTag(tag string) bool {
	root := &d.View.Winner.Root
	return tag == root.WholeTag(0) || tag == root.WholeTag(1)
}

// replacesWhole reports whether a plan sets or expires a head under a whole tag. The
// tag may hold a newer head by the time the response lands.
func (d *decision) replacesWhole(p *Plan) bool {
	return slices.ContainsFunc(p.Expire, d.isWholeTag) || slices.ContainsFunc(p.Set, d.isWhole)
}

// Grows reports whether the changes add to a session in cookies: an entry, or many
// bytes to one.
func (in *Input) Grows() bool {
	return in.Writes && in.View.Head != nil && !in.Changes.Begins(in.View) && !in.View.Stored() && in.grows()
}

func (in *Input) grows() bool {
	for _, op := range in.Changes.Ops {
		if op.Value != nil && in.moreThanShows(op.Name, len(op.Value)) != 0 {
			return true
		}
	}
	return false
}

// grown lists the entries that a candidate of cells adds to the session.
func (d *decision) grown(cand *candidate) (all []Growth) {
	for _, c := range cand.set {
		if e := &c.Entry; c.Kind == state.Cell && e.Live() && d.moreThanShows(e.Name, e.Len()) != 0 {
			all = append(all, Growth{e.Name, e.Len()})
		}
	}
	return all
}

// muchLonger is by how many bytes an existing value has to grow to count. The
// reserve has room for less.
const muchLonger = 64

// moreThanShows returns by how many bytes a value of an entry is longer than the
// one that shows; the whole length, and at least one, if none shows.
func (in *Input) moreThanShows(name string, bytes int) int {
	e := in.View.Find(name)
	switch {
	case e == nil:
		return max(bytes, 1)
	case bytes-e.Len() > muchLonger:
		return bytes - e.Len()
	}
	return 0
}
