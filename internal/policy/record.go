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
func (d *decision) store(h *state.Cookie, old state.Revision, dr draft, refused error) (Plan, error) {
	if refused != nil && (!d.Store || d.Mode == CookiesOnly) {
		return Plan{}, refused
	}
	record := h.Again()
	record.Tag = ""
	if !d.Changes.Begins(d.View) {
		record.Entries = d.merged(false) // cells in flight are held against each entry's own stamp
		record.Floor = d.risen()
		h.Turn = d.View.Over.Turn + 1
		record.Turn = h.Turn
		if !d.FixedName {
			h.Tag = h.Root.HeadTag(h.Turn)
		}
		dr = draft{expire: append(d.leftovers(), d.replaced(h.Tag)...)}
	}
	next := state.Revision{Number: old.Number + 1, Tag: d.RowTag}
	p, err := d.refer(record, h.Tag, dr, old, next)
	p.ToStore = err == nil
	return p, err
}

// cellTags lists the tags of the session's cells and seen cookies.
func (d *decision) cellTags() (tags []string) {
	gen := d.View.Over.Root.GenID()
	for _, c := range d.View.Cookies {
		if c.Gen == gen && (c.Kind == state.Cell || c.Kind == state.Seen) {
			tags = append(tags, c.Tag)
		}
	}
	return tags
}

// refer is the plan that saves a record and sets the reference to it.
func (d *decision) refer(record *state.Cookie, tag string, dr draft, old, next state.Revision) (Plan, error) {
	if n := len(record.Plaintext()); n > codec.MaxRecordPlaintext {
		return Plan{}, d.tooLarge(session.LimitRecordBytes, &draft{set: []*state.Cookie{record}}, codec.MaxRecordPlaintext, n)
	}
	ref := record.Again()
	ref.Tag, ref.Row, ref.Entries, ref.Back = tag, next, nil, false
	ref.SeenAt = max(ref.SeenAt, d.Now)
	dr.set = []*state.Cookie{ref}
	err, whole := d.fit(&dr, d.Limits.RequestBytes-renewPad), false
	if err != nil && !d.Changes.Begins(d.View) {
		record = record.Again()
		record.Entries = d.merged(true)
		dr.expire = append(dr.expire, d.cellTags()...) // a write that overlaps this one may be lost with them
		err, whole = d.fit(&dr, d.Limits.RequestBytes-renewPad), true
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
	record := v.Over.Again()
	record.Row, record.Tag = state.Revision{}, ""
	record.Floor = d.risen()
	record.Entries = d.merged(false)
	record.Turn = max(v.Over.Turn, v.Row.Turn)
	record.SeenAt = max(v.Seen, d.Now)
	if v.Row.Turn > v.Over.Turn {
		record.Since = v.Row.Since
	}
	if v.Row.Back {
		record.Turn += 2 // above the head that a response has taken back into the cookies
		record.Since = d.stamp.At
	}
	next := state.Revision{Number: max(v.Record.Number, v.Over.Row.Number) + 1, Tag: d.RowTag}
	if !d.Late && !d.Conflict && d.Mode != StoredOnly && !d.moving() {
		if p, ok := d.back(record, next); ok {
			return p, nil
		}
	}
	tag := v.Over.Tag
	if !d.FixedName && (record.Turn != v.Over.Turn || state.IsFixed(tag)) {
		tag = record.Root.HeadTag(record.Turn)
	}
	return d.refer(record, tag, draft{expire: append(d.leftovers(), d.replaced(tag)...)}, v.Record, next)
}

// back moves a session back into the cookies if it takes at most 60 % of what it
// may take there. The record keeps the session, marked, for the case that the
// response does not arrive.
func (d *decision) back(record *state.Cookie, next state.Revision) (Plan, bool) {
	l := d.Limits
	n := 0
	for i := range record.Entries {
		n += len(record.Entries[i].Name) + len(record.Entries[i].Value)
	}
	if n > l.RequestBytes {
		return Plan{}, false // without building it: it may be a megabyte
	}
	h := record.Again()
	h.Turn, h.Since = record.Turn+1, d.stamp.At
	if !d.FixedName {
		h.Tag = h.Root.HeadTag(h.Turn)
	}
	h.Entries = d.listedInCells(h.Entries)
	dr := draft{set: []*state.Cookie{h}, expire: append(d.leftovers(), d.replaced(h.Tag)...)}
	size := d.Sizer.Of(h)
	small := within60(size.Request, l.RequestBytes-d.Others.Request) && within60(size.Response, l.ResponseBytes) &&
		within60(size.Cookies, max(l.SetCookieLines, 2)) && within60(size.Cookies, max(l.Cookies, 2))
	if d.FixedName {
		small = size.Cookies == 1 && within60(size.Response, d.Sizer.CookieBytes)
	}
	if !small && d.Mode != CookiesOnly || d.fit(&dr, l.RequestBytes) != nil {
		return Plan{}, false
	}
	p := dr.plan(true)
	record.Back = true
	p.Record, p.Old, p.New, p.Returns = record, d.View.Record, next, true
	return p, true
}

// listedInCells is the entries of a head that goes back into the cookies. A large
// value whose cell is still there is listed, unless another request may be
// expiring that cell, which does not show while the record has the same value.
func (d *decision) listedInCells(entries []state.Entry) []state.Entry {
	entries = slices.Clone(entries)
	if d.Now-d.View.Over.Since >= state.Settled-state.Slack {
		return entries
	}
	for i := range entries {
		e := &entries[i]
		if e.Form == state.Value && e.IsLarge() && slices.ContainsFunc(d.View.Cookies, d.holds(*e)) {
			*e = state.Entry{Name: e.Name, Form: state.Listed, Stamp: state.Stamp{At: e.Stamp.At}}
		}
	}
	return entries
}

// holds returns a function that reports whether a cookie is the cell of an entry,
// from the turn in which the session went to the store.
func (d *decision) holds(e state.Entry) func(*state.Cookie) bool {
	h := d.View.Over
	gen := h.Root.GenID()
	return func(c *state.Cookie) bool {
		return c.Kind == state.Cell && c.Gen == gen && c.Turn+1 == h.Turn && c.Entry.Name == e.Name && c.Entry.Stamp == e.Stamp
	}
}

func within60(n, most int) bool { return 10*n <= 6*most }

// merged lists the entries of a record after the changes: each with the stamp of
// its own write, so that cells which land later are held against it. Tombstones
// stay until nothing in flight can contradict them.
func (d *decision) merged(whole bool) (all []state.Entry) {
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
		if base := d.newer(&e); base != nil && !whole {
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
		if d.moving() {
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
func (d *decision) newer(e *state.Entry) *state.Entry {
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
	return d.dead(e.Name), e.From.Turn
}

// dead is the stamp at and below which the cells of an entry do not show.
func (d *decision) dead(name string) state.Stamp {
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
func (d *decision) moving() bool {
	v := d.View
	return v.Row != nil && (v.Over.Turn != v.Row.Turn || v.Row.Back)
}

// risen is the floor of a record that is written now. Nothing in flight is as old.
func (d *decision) risen() state.Stamp {
	floor, settled := d.View.Floor(), state.Stamp{At: d.Now - state.Settled}
	if settled.After(floor) {
		return settled
	}
	return floor
}

// touchRecord sets the reference again, seen now, and prolongs the record.
func (d *decision) touchRecord() Plan {
	ref := d.View.Over.Again()
	ref.SeenAt = max(ref.SeenAt, d.Now)
	if state.IsFixed(ref.Tag) {
		ref.Tag = ref.Root.HeadTag(ref.Turn)
	}
	dr := draft{set: []*state.Cookie{ref}, expire: append(d.leftovers(), d.replaced(ref.Tag)...)}
	if d.fit(&dr, d.Limits.RequestBytes) != nil {
		return Plan{}
	}
	p := dr.plan(false)
	p.Prolong = ref
	return p
}
