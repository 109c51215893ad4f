package policy

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// moveToStore moves the session of head h to the store, and sets a reference in the
// place of h. refused is the error if the session did not fit into cookies. cand is
// the candidate that would have set h.
func (d *decision) moveToStore(h *state.Cookie, old state.Revision, cand candidate, refused error) (Plan, error) {
	if refused != nil && !d.usesStore() {
		return Plan{}, refused
	}
	record := h.Clone()
	record.Tag = ""
	if !d.Changes.Begins(d.View) {
		record.Entries = d.recordEntries(false) // with their own stamps, by which cells in flight are compared
		record.Floor = d.recordFloor()
		h.Turn = d.View.Winner.Turn + 1
		record.Turn = h.Turn
		if !d.FixedName {
			h.Tag = h.Root.HeadTag(h.Turn)
		}
		cand = candidate{expire: append(d.leftovers(), d.replacedHeads(h.Tag)...)}
	}
	next := state.Revision{Number: old.Number + 1, Tag: d.RowTag}
	p, err := d.saveRecord(record, h.Tag, cand, old, next)
	p.ToStore = err == nil
	return p, err
}

// saveRecord returns the plan that saves a record and sets a reference to it.
func (d *decision) saveRecord(record *state.Cookie, tag string, cand candidate, old, next state.Revision) (Plan, error) {
	if n := len(record.Plaintext()); n > codec.MaxRecordPlaintext {
		return Plan{}, d.tooLarge(session.LimitRecordBytes, &candidate{set: []*state.Cookie{record}}, codec.MaxRecordPlaintext, n)
	}
	ref := record.Clone()
	ref.Tag, ref.Row, ref.Entries, ref.Back = tag, next, nil, false
	ref.SeenAt = max(ref.SeenAt, d.Now)
	cand.set = []*state.Cookie{ref}
	err, whole := d.checkLimits(&cand, d.Limits.RequestBytes-renewPad), false
	if err != nil && !d.Changes.Begins(d.View) {
		record = record.Clone()
		record.Entries = d.recordEntries(true)
		cand.expire = append(cand.expire, d.cellTags()...) // overlapping writes in these cells may be lost
		err, whole = d.checkLimits(&cand, d.Limits.RequestBytes-renewPad), true
	}
	if err != nil && !d.Late {
		return Plan{}, err
	}
	p := cand.plan(true)
	p.Whole = whole
	p.Record, p.Old, p.New = record, old, next
	return p, nil
}

// changeRecord writes the changes to a stored session.
func (d *decision) changeRecord() (Plan, error) {
	v := d.View
	record := v.Winner.Clone()
	record.Row, record.Tag = state.Revision{}, ""
	record.Floor = d.recordFloor()
	record.Entries = d.recordEntries(false)
	record.Turn = max(v.Winner.Turn, v.Row.Turn)
	record.SeenAt = max(v.Seen, d.Now)
	if v.Row.Turn > v.Winner.Turn {
		record.Since = v.Row.Since
	}
	if v.Row.Back {
		record.Turn += 2 // above the turn of the head with which the session moved back
		record.Since = d.stamp.At
	}
	next := state.Revision{Number: max(v.RowRevision.Number, v.Winner.Row.Number) + 1, Tag: d.RowTag}
	if !d.Late && !d.Conflict && d.Mode != StoredOnly && !d.isMoving() {
		if p, ok := d.moveToCookies(record, next); ok {
			return p, nil
		}
	}
	tag := v.Winner.Tag
	if !d.FixedName && (record.Turn != v.Winner.Turn || state.IsFixed(tag)) {
		tag = record.Root.HeadTag(record.Turn)
	}
	return d.saveRecord(record, tag, candidate{expire: append(d.leftovers(), d.replacedHeads(tag)...)}, v.RowRevision, next)
}

// moveToCookies moves a stored session back to the cookies if it takes at most 40 %
// of the limits. The record keeps the entries, marked with Back, in case the
// response is lost.
func (d *decision) moveToCookies(record *state.Cookie, next state.Revision) (Plan, bool) {
	n := 0
	for i := range record.Entries {
		n += len(record.Entries[i].Name) + len(record.Entries[i].Value)
	}
	if n > d.Limits.RequestBytes {
		return Plan{}, false // a record can have a megabyte: do not encode it
	}
	h := record.Clone()
	h.Turn, h.Since = record.Turn+1, d.stamp.At
	if !d.FixedName {
		h.Tag = h.Root.HeadTag(h.Turn)
	}
	cand := candidate{set: []*state.Cookie{h}, expire: append(d.leftovers(), d.replacedHeads(h.Tag)...)}
	if d.Mode != CookiesOnly && !d.isSmall(d.Sizer.Of(h)) || d.checkLimits(&cand, d.Limits.RequestBytes) != nil {
		return Plan{}, false
	}
	p := cand.plan(true)
	record.Back = true
	p.Record, p.Old, p.New, p.ToCookies = record, d.View.RowRevision, next, true
	return p, true
}

// isSmall reports whether a size is at most 40 % of the limits.
func (d *decision) isSmall(size Size) bool {
	l := d.Limits
	if d.FixedName {
		return size.Cookies == 1 && isAtMost40Percent(size.Response, d.Sizer.CookieBytes)
	}
	return isAtMost40Percent(size.Request, l.RequestBytes-d.Others.Request) && isAtMost40Percent(size.Response, l.ResponseBytes) &&
		isAtMost40Percent(size.Cookies, max(l.SetCookieLines, 2)) && isAtMost40Percent(size.Cookies, max(l.Cookies, 2))
}

// isAtMost40Percent reports whether n is at most 40 % of most.
func isAtMost40Percent(n, most int) bool { return 10*n <= 4*most }

// recordEntries returns the entries of a record with the changes applied. Each keeps
// the stamp of its write, so that cells which land later can be compared with it.
// Tombstones stay until they are settled. If whole, the session's cells are expired,
// and each entry is taken as it shows.
func (d *decision) recordEntries(whole bool) (all []state.Entry) {
	all = make([]state.Entry, 0, len(d.View.Entries)+len(d.Changes.Ops))
	for i := range d.View.Entries {
		e := d.View.Entries[i]
		if d.Changes.Cleared && e.Live() {
			e = state.Entry{Name: e.Name, Stamp: d.stamp, Form: state.Deleted}
		}
		if base := d.newerInBase(&e); base != nil && !whole {
			e = *base
		}
		e.Above = d.above(&e)
		e.From = nil
		if e.Form == state.Deleted && e.Stamp.At <= d.Now-state.Settled {
			continue
		}
		all = append(all, e)
	}
	return d.applyOps(all)
}

// applyOps applies the operations to the entries of a record.
func (d *decision) applyOps(all []state.Entry) []state.Entry {
	for _, op := range d.Changes.Ops {
		i, ok := slices.BinarySearchFunc(all, op.Name, func(e state.Entry, n string) int { return strings.Compare(e.Name, n) })
		e := state.Entry{Name: op.Name, Stamp: d.stamp, Form: state.Deleted}
		if op.Value != nil {
			e = state.NewEntry(op.Name, d.stamp, op.Value)
		}
		if d.isMoving() {
			e.Above = d.View.Floor()
			if ok {
				e.Above = all[i].Stamp
			}
		}
		switch {
		case ok:
			all[i] = e
		case op.Value != nil:
			all = slices.Insert(all, i, e)
		}
	}
	return all
}

// newerInBase returns the base's entry of e's name if it is newer than e, else nil. A
// request that is long in flight may carry a cell that was overwritten since.
func (d *decision) newerInBase(e *state.Entry) *state.Entry {
	base := d.View.Base().Find(e.Name)
	if base == nil || base.Form == state.Listed || !base.Stamp.After(e.Stamp) || base.Stamp.At <= d.Now-state.Settled {
		return nil
	}
	return base
}

// above returns Above for a record's copy of entry e. It is zero if no request in
// flight can write a cell of the entry.
func (d *decision) above(e *state.Entry) state.Stamp {
	switch {
	case e.Stamp.At <= d.Now-state.Settled:
		return state.Stamp{}
	case e.From == nil:
		return e.Above
	}
	return d.hiddenUpTo(e.Name)
}

// hiddenUpTo returns the stamp up to which cells of an entry do not show.
func (d *decision) hiddenUpTo(name string) state.Stamp {
	e := d.View.Base().Find(name)
	switch {
	case e == nil:
		return d.View.Floor()
	case e.Copied():
		return e.Above
	case e.Form == state.Listed:
		return state.Stamp{At: e.Stamp.At - state.Slack}
	}
	return e.Stamp
}

// isMoving reports whether other requests are moving the session between cookies and
// store. Some of them may write cells.
func (d *decision) isMoving() bool {
	v := d.View
	return v.Row != nil && (v.Winner.Turn != v.Row.Turn || v.Row.Back)
}

// recordFloor returns the floor of a record that is saved now: the current floor, or a
// newer one that is settled.
func (d *decision) recordFloor() state.Stamp {
	floor, settled := d.View.Floor(), state.Stamp{At: d.Now - state.Settled}
	if settled.After(floor) {
		return settled
	}
	return floor
}
