package policy

import (
	"slices"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// draft is what a response may set and expire, before it is held against the
// limits.
type draft struct {
	set    []*state.Cookie
	expire []string // harmless where they are, so that they can wait for a later response
}

func (dr *draft) plan(changes bool) Plan {
	return Plan{Set: dr.set, Changes: changes, Expire: dr.expire}
}

// sent is the size of the lines that a draft must have: what it sets, and the
// removal of pieces of longer values under the same tags.
func (d *decision) sent(dr *draft) (size Size) {
	for _, c := range dr.set {
		own := d.Sizer.Of(c)
		size = size.plus(own)
		if have := d.held(c.Tag).Cookies; have > own.Cookies {
			size = size.plus(Size{Cookies: have - own.Cookies, Response: d.Sizer.Expiry(have - own.Cookies).Response})
		}
	}
	return size
}

func (d *decision) held(tag string) Size {
	for i := range d.Jar {
		if d.Jar[i].Tag == tag {
			return d.Jar[i].Size
		}
	}
	return Size{}
}

// jar is what the request carried, other programs' cookies included.
func (d *decision) jar() Size {
	size := Size{Cookies: min(d.Others.Cookies, d.Limits.Cookies/2), Request: d.Others.Request}
	for i := range d.Jar {
		size = size.plus(d.Jar[i].Size)
	}
	return size
}

// left is the jar once a draft has landed in it.
func (d *decision) left(dr *draft) Size {
	size := d.jar()
	for i := range d.Jar {
		if tag := d.Jar[i].Tag; sets(dr.set, tag) || slices.Contains(dr.expire, tag) {
			size = size.minus(d.Jar[i].Size)
		}
	}
	for _, c := range dr.set {
		size = size.plus(d.Sizer.Of(c))
	}
	return size
}

// reserve is what additions leave free of the request's bytes: a logout and a
// seen cookie always find room.
func (d *decision) reserve() int {
	const logout, seen = 80, 20 // bytes of their contents
	return d.Sizer.Sealed(logout).Request + d.Sizer.Sealed(seen).Request
}

// fit holds a draft against the limits, with at most limit bytes of Cookie
// header, and drops the removals for which the response has no room. What leaves
// the jar no larger than it was always fits the request.
func (d *decision) fit(dr *draft, limit int) error {
	return d.fitWith(dr, Size{Request: d.Limits.RequestBytes - limit})
}

// fitWith is fit with a margin of the limits left free.
func (d *decision) fitWith(dr *draft, margin Size) error {
	l := d.Limits
	d.cut(dr)
	sent, after, before := d.sent(dr), d.left(dr), d.jar()
	need, lines := sent.Response+margin.Response, sent.Cookies+margin.Cookies
	request := after.Request + margin.Request
	switch {
	case d.FixedName && len(dr.set) > 0 && d.Sizer.Of(dr.set[0]).Cookies > 1:
		return d.tooLarge(session.LimitCookieBytes, dr, d.Sizer.CookieBytes, sent.Response)
	case need > l.ResponseBytes:
		return d.tooLarge(session.LimitResponseBytes, dr, l.ResponseBytes, need)
	case lines > l.SetCookieLines:
		return d.tooLarge(session.LimitSetCookieLines, dr, l.SetCookieLines, lines)
	case request > l.RequestBytes && after.Request >= before.Request:
		return d.tooLarge(session.LimitRequestBytes, dr, l.RequestBytes, request)
	case after.Cookies > l.Cookies && after.Cookies > before.Cookies && !d.Changes.Renewed:
		return d.tooLarge(session.LimitCookies, dr, l.Cookies, after.Cookies)
	}
	return nil
}

// cut drops the removals for which the response has no room. The largest cookies
// are removed first.
func (d *decision) cut(dr *draft) {
	sent := d.sent(dr)
	slices.Sort(dr.expire)
	dr.expire = slices.Compact(dr.expire)
	slices.SortStableFunc(dr.expire, func(a, b string) int { return d.held(b).Request - d.held(a).Request })
	dr.expire = slices.DeleteFunc(dr.expire, func(tag string) bool {
		if sets(dr.set, tag) {
			return true
		}
		n := d.Sizer.Expiry(d.held(tag).Cookies)
		if sent.Cookies+n.Cookies > d.Limits.SetCookieLines || sent.Response+n.Response > d.Limits.ResponseBytes {
			return true
		}
		sent = sent.plus(n)
		return false
	})
}

// fitsTwice reports whether the limits have room for the jar with one more copy
// of a head, such as a slow response may bring back.
func (d *decision) fitsTwice(h *state.Cookie) bool {
	again, jar := d.Sizer.Of(h), d.jar()
	return jar.Request+again.Request <= d.Limits.RequestBytes-d.reserve() && jar.Cookies+again.Cookies <= d.Limits.Cookies
}

// fitsBesideCopies reports whether a head fits beside the jar and one more copy
// of the head that it follows: one in a turn of its own, and one that was set
// again.
func (d *decision) fitsBesideCopies(old, h *state.Cookie) bool {
	again := d.jar().plus(d.Sizer.Of(old)).plus(d.Sizer.Of(h))
	return again.Request <= d.Limits.RequestBytes-d.reserve() && again.Cookies <= d.Limits.Cookies
}

// fitsCells reports whether a draft of cells fits, and would still fit if
// every entry of the session were written at once, each by another request. The
// session has to fit a response as a whole, too, or nothing could follow that
// needs that form.
func (d *decision) fitsCells(dr *draft) bool {
	if d.fit(dr, d.Limits.RequestBytes-d.reserve()) != nil {
		return false
	}
	left := d.left(dr)
	most := left.plus(d.growth(dr))
	if most.Request > d.Limits.RequestBytes-d.reserve() || most.Cookies > d.Limits.Cookies {
		return false
	}
	return left.Request <= d.jar().Request || d.wholeFits(dr, 0)
}

// fewLines is the least SetCookieLines that have room for removals.
const fewLines = 4

// wholeFits reports whether one response can set the session whole, as a draft of
// cells leaves it with so many bytes more, and remove all that it is made of now. It counts without
// building it.
func (d *decision) wholeFits(dr *draft, more int) bool {
	const head, entry = 130, 8 // bytes beside subject, names and values
	n := head + len(d.View.Over.Subject) + more
	for i := range d.View.Entries {
		e := &d.View.Entries[i]
		if _, written := d.Changes.Find(e.Name); !written && e.Live() {
			n += entry + len(e.Name) + len(e.Value)
		}
	}
	for _, c := range dr.set {
		if e := &c.Entry; c.Kind == state.Cell && e.Live() {
			n += entry + len(e.Name) + len(e.Value)
		}
	}
	whole := d.Sizer.Sealed(n)
	removed := d.Sizer.Expiry(d.left(dr).Cookies - min(d.Others.Cookies, d.Limits.Cookies/2))
	lines := whole.Cookies + removed.Cookies
	if d.Limits.SetCookieLines < fewLines {
		lines = whole.Cookies
	}
	return whole.Response+removed.Response <= d.Limits.ResponseBytes && lines <= d.Limits.SetCookieLines
}

// growth is the size of the cells that the entries in the head may get. A
// response that writes a large value of the head takes it out there; of several
// such responses the last one leaves the values of the others.
func (d *decision) growth(dr *draft) (size Size) {
	h := d.View.Over
	for _, c := range dr.set {
		if c.Kind == state.Head {
			h = c
		}
	}
	least := 0
	for i := range h.Entries {
		e := &h.Entries[i]
		if e.Form != state.Value || d.hasCell(dr, e.Name) {
			continue
		}
		size = size.plus(d.cellSize(e.Name, len(e.Value)))
		if n := len(e.Value); e.IsLarge() && (least == 0 || n < least) {
			least = n
		}
	}
	size.Request -= least * 4 / 3
	return size
}

func (d *decision) cellSize(name string, value int) Size {
	const fixed = 34 // bytes of a cell beside name and value
	return d.Sizer.Sealed(fixed + len(name) + value)
}

func (d *decision) hasCell(dr *draft, name string) bool {
	if e := d.View.Find(name); e != nil && e.From != nil {
		return true
	}
	return slices.ContainsFunc(dr.set, func(c *state.Cookie) bool { return c.Kind == state.Cell && c.Entry.Name == name })
}

// fitsBeside reports whether a draft fits together with the entries that other
// requests are creating now.
func (d *decision) fitsBeside(dr *draft) bool {
	most, more := d.left(dr).plus(d.growth(dr)), 0
	for _, g := range d.others() {
		if d.View.Find(g.Name) == nil {
			most = most.plus(d.cellSize(g.Name, g.Bytes))
		} else {
			most.Request += codec.SealedLen(g.Bytes) - codec.SealedLen(0)
		}
		more += len(g.Name) + g.Bytes + 8
	}
	return most.Request <= d.Limits.RequestBytes-d.reserve() && most.Cookies <= d.Limits.Cookies && d.wholeFits(dr, more)
}

// crowded is the refusal of entries for which others in flight leave no room.
func (d *decision) crowded() error {
	others := len(d.others())
	e := &session.TooLargeError{Limit: session.LimitNewEntries, Need: others + 1, Max: others, Others: d.Others.Request}
	for _, op := range d.Changes.Ops {
		if op.Value != nil && d.moreThanShows(op.Name, len(op.Value)) != 0 {
			e.Largest = append(e.Largest, session.EntrySize{Name: op.Name, Bytes: len(op.Value)})
		}
	}
	e.Need = others + len(e.Largest)
	return e
}

// tooLarge names the limit, the numbers and the largest entries.
func (d *decision) tooLarge(limit session.Limit, dr *draft, most, need int) error {
	e := &session.TooLargeError{Limit: limit, Max: most, Need: need, Others: d.Others.Request}
	for _, c := range dr.set {
		e.Session = max(e.Session, len(c.Plaintext()))
		for i := range c.Entries {
			e.Largest = append(e.Largest, session.EntrySize{Name: c.Entries[i].Name, Bytes: c.Entries[i].Len()})
		}
	}
	slices.SortStableFunc(e.Largest, func(a, b session.EntrySize) int { return b.Bytes - a.Bytes })
	e.Largest = e.Largest[:min(len(e.Largest), 3)]
	return e
}
