package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
)

// begin writes a new generation in one head. Its tag follows from what the
// request brought, so that all requests that begin one over the same generation
// overwrite one another.
func (d *decision) begin() (Plan, error) {
	h := d.beginning()
	h.Entries = d.after()
	h.Tag = d.tagOfBeginning(h)
	dr := draft{set: []*state.Cookie{h}, expire: d.all(h.Tag)}
	err := error(nil)
	if d.Mode != StoredOnly {
		if err = d.fitWith(&dr, d.margin(h)); err == nil {
			return dr.plan(true), nil
		}
	}
	return d.store(h, state.Revision{}, draft{expire: d.all(h.Tag)}, err)
}

// A session that fits when it begins has to fit when it is renewed, and whenever
// it is written whole again with values of the same lengths: then its times have
// grown, and the response also removes the head that it replaces. A beginning
// leaves room for both, and a renewal for the rest.
const (
	beginPad = 96
	renewPad = 48
)

// margin is what a head that begins a generation leaves free of the limits.
func (d *decision) margin(h *state.Cookie) Size {
	pad := beginPad
	if d.View.Head != nil && d.Changes.Renewed && !d.Changes.Destroyed {
		pad = renewPad
	}
	m := d.Sizer.Expiry(d.Sizer.Of(h).Cookies)
	m.Cookies = min(m.Cookies, d.Limits.SetCookieLines-1) // so few lines hold one head
	m.Request, m.Response = pad, m.Response+pad/2
	if !d.Changes.Renewed {
		m.Request = max(m.Request, d.reserve())
	}
	return m
}

// beginning is the head of a generation that begins, without its entries.
func (d *decision) beginning() *state.Cookie {
	v, c := d.View, d.Changes
	from := d.Now
	if c.Now != 0 {
		from = c.Now
	}
	h := &state.Cookie{Kind: state.Head, Root: c.Root, Born: d.stamp, Floor: d.stamp, Since: d.stamp.At, SeenAt: d.Now}
	if old := v.Head; old != nil && !c.Destroyed {
		h.Created, h.End, h.Browser, h.Idle, h.Subject, h.Bound = old.Created, old.End, old.Browser, old.Idle, old.Subject, old.Bound
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
	if c.Subject != nil {
		h.Subject, h.Bound = c.Subject, max(d.Bound, d.Now)
	}
	return h
}

func (d *decision) tagOfBeginning(h *state.Cookie) string {
	over := d.View.Over
	switch {
	case d.FixedName:
		return ""
	case d.endedElsewhere() && !d.Changes.Renewed && !d.Changes.Destroyed:
		h.Orphan = true // it may not displace the login that has ended the session
		return state.FixedTag(true, d.Audience)
	case over != nil && d.Changes.Destroyed && over.Kind == state.Head:
		return over.Root.EndTag()
	case over != nil:
		return over.Root.NextTag()
	case len(d.Jar) > 0 || d.Changes.Renewed:
		return state.FixedTag(false, d.Audience)
	}
	h.Orphan = true
	return state.FixedTag(true, d.Audience)
}

// endedElsewhere reports whether the store says that the session is over, while
// the cookies still have its head: a logout or a login is on its way, or this is
// a copy.
func (d *decision) endedElsewhere() bool {
	v := d.View
	return v.Over != nil && v.Over.Kind == state.Head && (v.Verdict == state.LoggedOut || v.Verdict == state.Revoked)
}

// logout sets a logout wherever something is there that could still land or be
// opened elsewhere, and expires all of ours.
func (d *decision) logout() Plan {
	v := d.View
	if v.Over != nil && v.Over.Kind == state.Logout && v.Unopened == 0 && !slices.ContainsFunc(v.Cookies, isHead) {
		dr := draft{expire: d.all(v.Over.Tag)} // nothing has begun beside it
		d.cut(&dr)
		return dr.plan(len(d.Jar) > 0)
	}
	dr, there := draft{}, len(d.Jar) > 0 || v.Over != nil // what was imported or saved may land still
	if !d.FixedName && there {
		dr.set = append(dr.set, d.marker())
		dr.expire = d.all(dr.set[0].Tag)
	} else {
		dr.expire = d.all("-")
	}
	if v.Over != nil && !sets(dr.set, v.Over.Tag) {
		dr.expire = append(dr.expire, v.Over.Tag) // perhaps of an early Save, and not sent yet
	}
	d.cut(&dr)
	return dr.plan(there)
}

func isHead(c *state.Cookie) bool { return c.Kind == state.Head }

// marker is the logout of what the request brought.
func (d *decision) marker() *state.Cookie {
	m := &state.Cookie{Kind: state.Logout, Root: d.Fresh, Born: d.stamp, Created: d.Now, End: d.Now + max(d.MaxLifetime, d.Lifetime), Tag: state.FixedTag(false, d.Audience)}
	if over := d.View.Over; over != nil {
		m.Created, m.End, m.Tag = over.Created, over.End, over.Root.EndTag()
		if over.Kind == state.Logout {
			m.Tag = over.Tag
		}
	}
	return m
}

// all lists the tags of everything of ours in the request but one.
func (d *decision) all(but string) (tags []string) {
	for i := range d.Jar {
		if d.Jar[i].Tag != but {
			tags = append(tags, d.Jar[i].Tag)
		}
	}
	return tags
}

// after lists the entries of the session that the changes leave, all with the
// request's stamp.
func (d *decision) after() (all []state.Entry) {
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
			e.Stamp, e.From, e.Above, e.AboveTurn = d.stamp, nil, state.Stamp{}, 0
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
