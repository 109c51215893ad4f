package policy

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// store moves the session that head h holds into the store, and leaves a
// reference in its place. refused is why the cookies do not do, if they were
// tried. dr is the draft that would have set h.
func (d *decision) moveToStore(h *state.Cookie, old state.Revision, dr candidate, refused error) (Plan, error) {
	if refused != nil && (!d.Store || d.Mode == CookiesOnly) {
		return Plan{}, refused
	}
	record := h.Clone()
	record.Tag = ""
	if !d.Changes.Begins(d.View) {
		record.Entries = d.recordEntries(false) // cells in flight are held against each entry's own stamp
		record.Floor = d.recordFloor()
		h.Turn = d.View.Winner.Turn + 1
		record.Turn = h.Turn
		if !d.FixedName {
			h.Tag = h.Root.HeadTag(h.Turn)
		}
		dr = candidate{expire: append(d.leftovers(), d.replacedHeads(h.Tag)...)}
	}
	next := state.Revision{Number: old.Number + 1, Tag: d.RowTag}
	p, err := d.saveRecord(record, h.Tag, dr, old, next)
	p.ToStore = err == nil
	return p, err
}

// cellTags lists the tags of the session's cells and seen cookies.
func (d *decision) cellTags() (tags []string) {
	gen := d.View.Winner.Root.GenID()
	for _, c := range d.View.Cookies {
		if c.Gen == gen && (c.Kind == state.Cell || c.Kind == state.Seen) {
			tags = append(tags, c.Tag)
		}
	}
	return tags
}

// refer is the plan that saves a record and sets the reference to it.
func (d *decision) saveRecord(record *state.Cookie, tag string, dr candidate, old, next state.Revision) (Plan, error) {
	if n := len(record.Plaintext()); n > codec.MaxRecordPlaintext {
		return Plan{}, d.tooLarge(session.LimitRecordBytes, &candidate{set: []*state.Cookie{record}}, codec.MaxRecordPlaintext, n)
	}
	ref := record.Clone()
	ref.Tag, ref.Row, ref.Entries, ref.Back = tag, next, nil, false
	ref.SeenAt = max(ref.SeenAt, d.Now)
	dr.set = []*state.Cookie{ref}
	err, whole := d.checkLimits(&dr, d.Limits.RequestBytes-renewPad), false
	if err != nil && !d.Changes.Begins(d.View) {
		record = record.Clone()
		record.Entries = d.recordEntries(true)
		dr.expire = append(dr.expire, d.cellTags()...) // a write that overlaps this one may be lost with them
		err, whole = d.checkLimits(&dr, d.Limits.RequestBytes-renewPad), true
	}
	if err != nil && !d.Late {
		return Plan{}, err
	}
	p := dr.plan(true)
	p.Whole = whole
	p.Record, p.Old, p.New = record, old, next
	return p, nil
}

// changeRecord writes a change of a session that is in the store.
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
		record.Turn += 2 // above the head that a response has taken back into the cookies
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

// back moves a session back into the cookies if it takes at most 60 % of what it
// may take there. The record keeps the session, marked, for the case that the
// response does not arrive.
func (d *decision) moveToCookies(record *state.Cookie, next state.Revision) (Plan, bool) {
	l := d.Limits
	n := 0
	for i := range record.Entries {
		n += len(record.Entries[i].Name) + len(record.Entries[i].Value)
	}
	if n > l.RequestBytes {
		return Plan{}, false // without building it: it may be a megabyte
	}
	h := record.Clone()
	h.Turn, h.Since = record.Turn+1, d.stamp.At
	if !d.FixedName {
		h.Tag = h.Root.HeadTag(h.Turn)
	}
	h.Entries = d.listLargeCells(h.Entries)
	dr := candidate{set: []*state.Cookie{h}, expire: append(d.leftovers(), d.replacedHeads(h.Tag)...)}
	size := d.Sizer.Of(h)
	small := isAtMost60Percent(size.Request, l.RequestBytes-d.Others.Request) && isAtMost60Percent(size.Response, l.ResponseBytes) &&
		isAtMost60Percent(size.Cookies, max(l.SetCookieLines, 2)) && isAtMost60Percent(size.Cookies, max(l.Cookies, 2))
	if d.FixedName {
		small = size.Cookies == 1 && isAtMost60Percent(size.Response, d.Sizer.CookieBytes)
	}
	if !small && d.Mode != CookiesOnly || d.checkLimits(&dr, l.RequestBytes) != nil {
		return Plan{}, false
	}
	p := dr.plan(true)
	record.Back = true
	p.Record, p.Old, p.New, p.ToCookies = record, d.View.RowRevision, next, true
	return p, true
}

// listedInCells is the entries of a head that goes back into the cookies. A large
// value whose cell is still there is listed, unless another request may be
// expiring that cell, which does not show while the record has the same value.
func (d *decision) listLargeCells(entries []state.Entry) []state.Entry {
	entries = slices.Clone(entries)
	if d.Now-d.View.Winner.Since >= state.Settled-state.Slack {
		return entries
	}
	for i := range entries {
		e := &entries[i]
		if e.Form == state.Value && e.IsLarge() && slices.ContainsFunc(d.View.Cookies, d.isCellOf(*e)) {
			*e = state.Entry{Name: e.Name, Form: state.Listed, Stamp: state.Stamp{At: e.Stamp.At}}
		}
	}
	return entries
}

// holds returns a function that reports whether a cookie is the cell of an entry,
// from the turn in which the session went to the store.
func (d *decision) isCellOf(e state.Entry) func(*state.Cookie) bool {
	h := d.View.Winner
	gen := h.Root.GenID()
	return func(c *state.Cookie) bool {
		return c.Kind == state.Cell && c.Gen == gen && c.Turn+1 == h.Turn && c.Entry.Name == e.Name && c.Entry.Stamp == e.Stamp
	}
}

func isAtMost60Percent(n, most int) bool { return 10*n <= 6*most }

// merged lists the entries of a record after the changes: each with the stamp of
// its own write, so that cells which land later are held against it. Tombstones
// stay until nothing in flight can contradict them.
func (d *decision) recordEntries(whole bool) (all []state.Entry) {
	have := d.View.Entries
	if d.Changes.Cleared {
		have = slices.Clone(have)
		for i := range have {
			if have[i].Live() {
				have[i] = state.Entry{Name: have[i].Name, Stamp: d.stamp, Form: state.Deleted}
			}
		}
	}
	all = make([]state.Entry, 0, len(have)+len(d.Changes.Ops))
	for i := range have {
		e := have[i]
		if base := d.newerInBase(&e); base != nil && !whole {
			e = *base
		}
		e.Above, e.AboveTurn = d.above(&e)
		e.From = nil
		if e.Form == state.Deleted && e.Stamp.At <= d.Now-state.Settled {
			continue
		}
		all = append(all, e)
	}
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

// newer is the record's copy of entry e that is newer than the cell which shows.
// Of a request that was built long ago, the cell may be one that has been
// overwritten since.
func (d *decision) newerInBase(e *state.Entry) *state.Entry {
	base := d.View.Base().Find(e.Name)
	if base == nil || base.Form == state.Listed || !base.Stamp.After(e.Stamp) || base.Stamp.At <= d.Now-state.Settled {
		return nil
	}
	return base
}

// above is the stamp above which a cell shows in place of a record's copy of
// entry e; zero if no request in flight can write one.
func (d *decision) above(e *state.Entry) (state.Stamp, uint64) {
	switch {
	case e.Stamp.At <= d.Now-state.Settled:
		return state.Stamp{}, 0
	case e.From == nil:
		return e.Above, e.AboveTurn
	}
	return d.hiddenUpTo(e.Name), e.From.Turn
}

// dead is the stamp at and below which the cells of an entry do not show.
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

// moving reports whether other requests are moving the session between cookies
// and store at this moment, so that some may write cells.
func (d *decision) isMoving() bool {
	v := d.View
	return v.Row != nil && (v.Winner.Turn != v.Row.Turn || v.Row.Back)
}

// risen is the floor of a record that is written now. Nothing in flight is as old.
func (d *decision) recordFloor() state.Stamp {
	floor, settled := d.View.Floor(), state.Stamp{At: d.Now - state.Settled}
	if settled.After(floor) {
		return settled
	}
	return floor
}

// touchRecord sets the reference again, seen now, and prolongs the record.
func (d *decision) touchRecord() Plan {
	ref := d.View.Winner.Clone()
	ref.SeenAt = max(ref.SeenAt, d.Now)
	if state.IsFixed(ref.Tag) {
		ref.Tag = ref.Root.HeadTag(ref.Turn)
	}
	dr := candidate{set: []*state.Cookie{ref}, expire: append(d.leftovers(), d.replacedHeads(ref.Tag)...)}
	if d.checkLimits(&dr, d.Limits.RequestBytes) != nil {
		return Plan{}
	}
	p := dr.plan(false)
	p.Extend = ref
	return p
}
