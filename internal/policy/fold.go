package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
)

// foldFrom is how many cells must be old enough for a fold to be worth it.
const foldFrom = 4

// foldable reports whether an entry's cell goes into the head by a fold now:
// everything that was in flight beside its write has landed, and it is small.
func (d *decision) foldable(e *state.Entry) bool {
	return e.From != nil && !e.IsLarge() && e.Stamp.At <= d.Now-state.Settled
}

// fold adds to a draft the head of the next turn, which has taken in the cells
// that are old enough. They stay in the jar until no request is in flight that
// may write them. ok reports whether it is due. With a store there is no fold: a
// response that moves the session there takes the same turn.
func (d *decision) fold(dr draft) (out draft, ok bool) {
	v := d.View
	n := 0
	for i := range v.Entries {
		if d.foldable(&v.Entries[i]) {
			n++
		}
	}
	floor := state.Stamp{At: d.Now - state.Settled}
	if n < foldFrom || d.Store && d.Mode != CookiesOnly || v.Stored() || !d.fitsTwice(v.Over) || !floor.After(v.Floor()) {
		return draft{}, false
	}
	h := v.Over.Again()
	h.Turn, h.Floor, h.Since = h.Turn+1, floor, d.Now
	h.SeenAt = max(h.SeenAt, d.Now)
	h.Tag = h.Root.HeadTag(h.Turn)
	h.Entries = d.folded(floor, dr.set)
	out = draft{set: []*state.Cookie{h}, expire: append(d.leftovers(), d.replaced(h.Tag)...)}
	for _, c := range dr.set {
		if c.Kind == state.Cell {
			out.set = append(out.set, c)
		}
	}
	out.expire = append(out.expire, dr.expire...)
	return out, true
}

// folded lists the entries of the head that a fold sets. What stays in a cell is
// listed.
func (d *decision) folded(floor state.Stamp, writes []*state.Cookie) (all []state.Entry) {
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
		case e.From == nil && e.Stamp.After(floor): // of a session that came back from the store
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

// leftovers lists the tags that no request can need any more. A tag that another
// generation may take (a fixed one, or one that follows from what a request saw)
// is expired only when nothing that began beside this session can be in flight.
func (d *decision) leftovers() (tags []string) {
	v := d.View
	h := v.Over
	now, gen := d.Now, h.Root.GenID()
	for _, c := range v.Cookies {
		own := c.Gen == gen && (c.Kind == state.Cell || c.Kind == state.Seen) || c.Kind == state.Head && c.Root == h.Root
		switch {
		case c == h:
		case !own && (now-h.Born.At >= state.Settled || c.Kind == state.Cell || c.Kind == state.Seen || c.UnderOwnTag()),
			own && c.Kind == state.Head && (c.Turn < h.Turn || c.Turn == h.Turn && !state.IsFixed(c.Tag)),
			own && c.Kind == state.Cell && c.Turn < h.Turn && now-h.Since >= state.Settled && !d.Conflict && !d.lists(c.Entry.Name) && !d.showsFrom(c):
			tags = append(tags, c.Tag)
		}
	}
	for i := range d.Jar {
		if d.Jar[i].Waste {
			tags = append(tags, d.Jar[i].Tag)
		}
	}
	return tags
}

func (d *decision) showsFrom(c *state.Cookie) bool {
	e := d.View.Find(c.Entry.Name)
	return e != nil && e.From == c
}

// touch renews the last-seen time where that is due, and takes leftovers along.
// It undoes nothing: a head is only set again as it is, and only where a second
// copy of it would fit.
func (d *decision) touch() Plan {
	v := d.View
	if v.Head == nil || !d.MayTouch || v.Unopened > 0 || !TouchDue(v, d.Now, d.Idle, d.Touch) {
		return Plan{}
	}
	h := v.Over
	if v.Stored() {
		return d.touchRecord()
	}
	if d.FixedName {
		return d.touchFixed()
	}
	if dr, ok := d.touchHead(); ok {
		return dr.plan(false)
	}
	seen := &state.Cookie{Kind: state.Seen, Gen: h.Root.GenID(), SeenAt: d.Now, Tag: h.Root.SeenTag()}
	dr := draft{set: []*state.Cookie{seen}, expire: slices.DeleteFunc(d.leftovers(), d.isWholeTag)}
	if d.fit(&dr, d.Limits.RequestBytes) == nil {
		return dr.plan(false)
	}
	return Plan{} // the session ends early rather than lock its browser out
}

// touchHead is the draft of a touch that folds, or sets the head again. A head
// that was written whole is left alone: its tag may hold a later one by the time
// the response lands.
func (d *decision) touchHead() (dr draft, ok bool) {
	h := d.View.Over
	if slices.ContainsFunc(d.View.Cookies, func(c *state.Cookie) bool { return d.isWholeTag(c.Tag) }) {
		return draft{}, false
	}
	if dr, ok := d.fold(draft{}); ok && d.fitsCells(&dr) {
		return dr, true
	}
	if !d.fitsTwice(h) || slices.ContainsFunc(h.Entries, func(e state.Entry) bool { return e.Form == state.Value && e.IsLarge() }) {
		return draft{}, false
	}
	again := d.headAgain()
	dr = draft{set: []*state.Cookie{again}, expire: append(d.replaced(again.Tag), d.leftovers()...)}
	return dr, d.fit(&dr, d.Limits.RequestBytes) == nil
}

// touchFixed sets the one cookie again.
func (d *decision) touchFixed() Plan {
	h := d.View.Over.Again()
	h.SeenAt, h.Tag = max(h.SeenAt, d.Now), ""
	dr := draft{set: []*state.Cookie{h}}
	if d.fit(&dr, d.Limits.RequestBytes) != nil {
		return Plan{}
	}
	return dr.plan(false)
}

// TouchDue reports whether a session's last-seen time is so old that it is
// renewed: by the configured interval, or by half of an idle timeout of its own.
func TouchDue(v *state.View, now, idle, touch int64) bool {
	switch {
	case v.Head == nil:
		return false
	case v.Head.Idle != 0:
		idle, touch = v.Head.Idle, v.Head.Idle/2
	}
	return idle > 0 && idle < state.NoIdle && now-v.Seen >= touch
}

// settleImport writes another library's session as it is.
func (d *decision) settleImport() (Plan, error) {
	h := d.headAgain()
	dr := draft{set: []*state.Cookie{h}}
	if d.FixedName {
		h.Tag = ""
	}
	var err error
	if d.Mode != StoredOnly {
		if err = d.fit(&dr, d.Limits.RequestBytes-d.reserve()); err == nil {
			return dr.plan(true), nil
		}
	}
	return d.store(h, d.View.Record, dr, err)
}
