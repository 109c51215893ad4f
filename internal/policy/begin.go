package policy

import (
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// begin writes a new generation in one head. Requests that replace the same
// generation derive the same tag from it, so that their heads overwrite one another.
func (d *decision) begin() (Plan, error) {
	h := d.newHead()
	h.Entries = d.entriesAfter()
	h.Tag = d.newHeadTag(h)
	cand := candidate{set: []*state.Cookie{h}, expire: d.tagsExcept(h.Tag)}
	err := error(nil)
	if d.Mode != StoredOnly {
		if err = d.checkLimitsWith(&cand, d.margin(h)); err == nil {
			return cand.plan(true), nil
		}
	}
	return d.moveToStore(h, state.Revision{}, candidate{expire: d.tagsExcept(h.Tag)}, err)
}

// Bytes of the request that a new head leaves free. The session must still fit when
// it is renewed, or written whole again with values of the same lengths. Then its
// times take more bytes, and the response also expires the old head. A renewal
// leaves less free, because its times have already grown.
const (
	beginPad = 96
	renewPad = 48
)

// margin returns how much of the limits a new head must leave free.
func (d *decision) margin(h *state.Cookie) Size {
	pad := beginPad
	if d.View.Head != nil && d.Changes.Renewed && !d.Changes.Destroyed {
		pad = renewPad
	}
	m := d.Sizer.Expiry(d.Sizer.Of(h).Cookies)
	m.Cookies = min(m.Cookies, d.Limits.SetCookieLines-1) // if few lines are allowed, the head still gets one
	m.Request, m.Response = pad, m.Response+pad/2
	if !d.Changes.Renewed {
		m.Request = max(m.Request, d.reserve())
	}
	return m
}

// newHead returns the head of a new generation, without entries and tag.
func (d *decision) newHead() *state.Cookie {
	v, c := d.View, d.Changes
	from := d.Now
	if c.Now != 0 {
		from = c.Now
	}
	h := &state.Cookie{Kind: state.Head, Root: c.Root, Born: d.stamp, Floor: d.stamp, Since: d.stamp.At, SeenAt: d.Now}
	if old := v.Head; old != nil && !c.Destroyed {
		h.Created, h.End, h.Browser, h.Idle, h.Subjects, h.Bound = old.Created, old.End, old.Browser, old.Idle, old.Subjects, old.Bound
	} else {
		h.Created, h.End, h.Browser = d.Now, from+d.Lifetime, d.Browser
	}
	if t := c.Terms; t != (state.Terms{}) {
		if t.Lifetime != 0 {
			h.End = from + min(t.Lifetime, max(d.MaxLifetime, d.Lifetime))
		}
		if t.Idle != 0 {
			h.Idle = t.Idle
		}
		if t.Browser != 0 {
			h.Browser = t.Browser > 0
		}
	}
	if c.Subjects != nil {
		h.Subjects, h.Bound = c.Subjects, max(d.Bound, d.Now)
	}
	return h
}

// newHeadTag returns the tag of a new head, and makes the head an orphan if needed.
func (d *decision) newHeadTag(h *state.Cookie) string {
	winner := d.View.Winner
	switch {
	case d.FixedName:
		return ""
	case d.endedElsewhere() && !d.Changes.Renewed && !d.Changes.Destroyed:
		h.Orphan = true // an orphan cannot replace the login that has ended the session
		return state.FixedTag(true, d.Audience)
	case winner != nil && d.Changes.Destroyed && winner.Kind == state.Head:
		return winner.Root.EndTag()
	case winner != nil:
		return winner.Root.NextTag()
	case len(d.Jar) > 0 || d.Changes.Renewed:
		return state.FixedTag(false, d.Audience)
	}
	h.Orphan = true
	return state.FixedTag(true, d.Audience)
}

// endedElsewhere reports whether the session was ended in the store, but its head is
// still in the cookies. Then the response of a logout or a login is in flight, or
// the cookies are a copy.
func (d *decision) endedElsewhere() bool {
	v := d.View
	return v.Winner != nil && v.Winner.Kind == state.Head && (v.Verdict == reason.LoggedOut || v.Verdict == reason.Revoked)
}

// entriesAfter lists the live entries of the session with the changes applied. All
// have the request's stamp.
func (d *decision) entriesAfter() (all []state.Entry) {
	v, c := d.View, d.Changes
	var have []state.Entry
	if v.Head != nil && !c.Destroyed && !c.Cleared {
		have = v.Entries
	}
	all = make([]state.Entry, 0, len(have)+len(c.Ops))
	ops := c.Ops
	for i := range have {
		e := have[i]
		for len(ops) > 0 && ops[0].Name < e.Name {
			all, ops = d.appendOp(all, ops[0]), ops[1:]
		}
		if len(ops) > 0 && ops[0].Name == e.Name {
			all, ops = d.appendOp(all, ops[0]), ops[1:]
		} else if e.Live() {
			e.Stamp, e.From, e.Above = d.stamp, nil, state.Stamp{}
			all = append(all, e)
		}
	}
	for _, op := range ops {
		all = d.appendOp(all, op)
	}
	return all
}

func (d *decision) appendOp(all []state.Entry, op state.Op) []state.Entry {
	if op.Value == nil {
		return all
	}
	return append(all, state.NewEntry(op.Name, d.stamp, op.Value))
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
