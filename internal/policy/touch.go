package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
)

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

// touchRecord sets the reference again with a new last-seen time, and extends the
// record's expiry.
func (d *decision) touchRecord() Plan {
	ref := d.View.Winner.Clone()
	ref.SeenAt = max(ref.SeenAt, d.Now)
	if state.IsFixed(ref.Tag) {
		ref.Tag = ref.Root.HeadTag(ref.Turn)
	}
	cand := candidate{set: []*state.Cookie{ref}, expire: append(d.leftovers(), d.replacedHeads(ref.Tag)...)}
	if d.checkLimits(&cand, d.Limits.RequestBytes) != nil {
		return Plan{}
	}
	p := cand.plan(false)
	p.Extend = ref
	return p
}
