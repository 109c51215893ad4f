package policy

import (
	"slices"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// candidate is a possible plan for the cookies. It may exceed the limits.
type candidate struct {
	set    []*state.Cookie
	expire []string // tags; if there is no room, a later response can expire them
}

func (cand *candidate) plan(changes bool) Plan {
	return Plan{Set: cand.set, Changes: changes, Expire: cand.expire}
}

// sent returns the size of the lines that a candidate must send: the cookies that it
// sets, and the expiries of surplus pieces under the same tags.
func (d *decision) sent(cand *candidate) (size Size) {
	for _, c := range cand.set {
		own := d.Sizer.Of(c)
		size = size.plus(own)
		if have := d.sizeInRequest(c.Tag).Cookies; have > own.Cookies {
			size = size.plus(Size{Cookies: have - own.Cookies, Response: d.Sizer.Expiry(have - own.Cookies).Response})
		}
	}
	return size
}

// sizeInRequest returns the size of the request's cookies with a tag.
func (d *decision) sizeInRequest(tag string) Size {
	for i := range d.Jar {
		if d.Jar[i].Tag == tag {
			return d.Jar[i].Size
		}
	}
	return Size{}
}

// sizeBefore returns the size of all cookies of the request, including others.
func (d *decision) sizeBefore() Size {
	size := Size{Cookies: min(d.Others.Cookies, d.Limits.Cookies/2), Request: d.Others.Request}
	for i := range d.Jar {
		size = size.plus(d.Jar[i].Size)
	}
	return size
}

// sizeAfter returns the size of all cookies once a candidate has landed.
func (d *decision) sizeAfter(cand *candidate) Size {
	size := d.sizeBefore()
	for i := range d.Jar {
		if tag := d.Jar[i].Tag; sets(cand.set, tag) || slices.Contains(cand.expire, tag) {
			size = size.minus(d.Jar[i].Size)
		}
	}
	for _, c := range cand.set {
		size = size.plus(d.Sizer.Of(c))
	}
	return size
}

// reserve returns how many bytes of the request a write must leave free, so that a
// logout and a seen cookie always fit.
func (d *decision) reserve() int {
	const logout, seen = 80, 20 // bytes of the contents
	return d.Sizer.Sealed(logout).Request + d.Sizer.Sealed(seen).Request
}

// checkLimits returns an error if a candidate exceeds the limits, with limit in place
// of RequestBytes. It drops expiries for which the response has no room. A candidate
// that makes the request smaller always fits the request.
func (d *decision) checkLimits(cand *candidate, limit int) error {
	return d.checkLimitsWith(cand, Size{Request: d.Limits.RequestBytes - limit})
}

// checkLimitsWith is checkLimits with a margin that must be left free of the limits.
func (d *decision) checkLimitsWith(cand *candidate, margin Size) error {
	l := d.Limits
	d.limitExpiries(cand)
	sent, after, before := d.sent(cand), d.sizeAfter(cand), d.sizeBefore()
	need, lines := sent.Response+margin.Response, sent.Cookies+margin.Cookies
	request := after.Request + margin.Request
	switch {
	case d.FixedName && len(cand.set) > 0 && d.Sizer.Of(cand.set[0]).Cookies > 1:
		return d.tooLarge(session.LimitCookieBytes, cand, d.Sizer.CookieBytes, sent.Response)
	case need > l.ResponseBytes:
		return d.tooLarge(session.LimitResponseBytes, cand, l.ResponseBytes, need)
	case lines > l.SetCookieLines:
		return d.tooLarge(session.LimitSetCookieLines, cand, l.SetCookieLines, lines)
	case request > l.RequestBytes && after.Request >= before.Request:
		return d.tooLarge(session.LimitRequestBytes, cand, l.RequestBytes, request)
	case after.Cookies > l.Cookies && after.Cookies > before.Cookies && !d.Changes.Renewed:
		return d.tooLarge(session.LimitCookies, cand, l.Cookies, after.Cookies)
	}
	return nil
}

// limitExpiries drops the expiries for which the response has no room. It keeps those
// of the largest cookies.
func (d *decision) limitExpiries(cand *candidate) {
	sent := d.sent(cand)
	slices.Sort(cand.expire)
	cand.expire = slices.Compact(cand.expire)
	slices.SortStableFunc(cand.expire, func(a, b string) int { return d.sizeInRequest(b).Request - d.sizeInRequest(a).Request })
	cand.expire = slices.DeleteFunc(cand.expire, func(tag string) bool {
		if sets(cand.set, tag) {
			return true
		}
		n := d.Sizer.Expiry(d.sizeInRequest(tag).Cookies)
		if sent.Cookies+n.Cookies > d.Limits.SetCookieLines || sent.Response+n.Response > d.Limits.ResponseBytes {
			return true
		}
		sent = sent.plus(n)
		return false
	})
}

// fitsTwice reports whether the limits have room for one more copy of a head, because
// a slow response may set the head again.
func (d *decision) fitsTwice(h *state.Cookie) bool {
	again, jar := d.Sizer.Of(h), d.sizeBefore()
	return jar.Request+again.Request <= d.Limits.RequestBytes-d.reserve() && jar.Cookies+again.Cookies <= d.Limits.Cookies
}

// fitsBesideCopies reports whether the new head h fits beside the request's cookies
// and one more copy of the old head.
func (d *decision) fitsBesideCopies(old, h *state.Cookie) bool {
	again := d.sizeBefore().plus(d.Sizer.Of(old)).plus(d.Sizer.Of(h))
	return again.Request <= d.Limits.RequestBytes-d.reserve() && again.Cookies <= d.Limits.Cookies
}

// fitsCells reports whether a candidate of cells fits, and would still fit if other
// requests wrote all other entries at the same time. The session must also fit one
// response as a whole, so that it can be written whole later.
func (d *decision) fitsCells(cand *candidate) bool {
	if d.checkLimits(cand, d.Limits.RequestBytes-d.reserve()) != nil {
		return false
	}
	after := d.sizeAfter(cand)
	most := after.plus(d.growth(cand))
	if most.Request > d.Limits.RequestBytes-d.reserve() || most.Cookies > d.Limits.Cookies {
		return false
	}
	return after.Request <= d.sizeBefore().Request || d.wholeFits(cand, 0)
}

// fewLines is the value of SetCookieLines below which wholeFits counts no expiries.
const fewLines = 4

// wholeFits reports whether one response can write the session whole and expire its
// other cookies. It computes the size of the session after a candidate of cells, plus
// more bytes.
func (d *decision) wholeFits(cand *candidate, more int) bool {
	const head, entry = 130, 8 // bytes of a head and of an entry without subjects, names and values
	n := head + len(d.View.Winner.Subjects) + more
	for i := range d.View.Entries {
		e := &d.View.Entries[i]
		if _, written := d.Changes.Find(e.Name); !written && e.Live() {
			n += entry + len(e.Name) + len(e.Value)
		}
	}
	for _, c := range cand.set {
		if e := &c.Entry; c.Kind == state.Cell && e.Live() {
			n += entry + len(e.Name) + len(e.Value)
		}
	}
	whole := d.Sizer.Sealed(n)
	removed := d.Sizer.Expiry(d.sizeAfter(cand).Cookies - min(d.Others.Cookies, d.Limits.Cookies/2))
	lines := whole.Cookies + removed.Cookies
	if d.Limits.SetCookieLines < fewLines {
		lines = whole.Cookies
	}
	return whole.Response+removed.Response <= d.Limits.ResponseBytes && lines <= d.Limits.SetCookieLines
}

// growth returns the size of the cells that the head's entries may get. A response
// that writes a large value also removes that value from the head. Of several such
// responses only the last one's head stays, so only the smallest large value is
// certain to be removed.
func (d *decision) growth(cand *candidate) (size Size) {
	h := d.View.Winner
	for _, c := range cand.set {
		if c.Kind == state.Head {
			h = c
		}
	}
	least := 0
	for i := range h.Entries {
		e := &h.Entries[i]
		if e.Form != state.Value || d.hasCell(cand, e.Name) {
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
	const fixed = 34 // bytes of a cell without name and value
	return d.Sizer.Sealed(fixed + len(name) + value)
}

func (d *decision) hasCell(cand *candidate, name string) bool {
	if e := d.View.Find(name); e != nil && e.From != nil {
		return true
	}
	return slices.ContainsFunc(cand.set, func(c *state.Cookie) bool { return c.Kind == state.Cell && c.Entry.Name == name })
}

// fitsBeside reports whether a candidate fits together with the entries that other
// requests are creating now.
func (d *decision) fitsBeside(cand *candidate) bool {
	most, more := d.sizeAfter(cand).plus(d.growth(cand)), 0
	for _, g := range d.others() {
		if d.View.Find(g.Name) == nil {
			most = most.plus(d.cellSize(g.Name, g.Bytes))
		} else {
			most.Request += codec.SealedLen(g.Bytes) - codec.SealedLen(0)
		}
		more += len(g.Name) + g.Bytes + 8
	}
	return most.Request <= d.Limits.RequestBytes-d.reserve() && most.Cookies <= d.Limits.Cookies && d.wholeFits(cand, more)
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

// tooLarge returns the error for an exceeded limit, with the largest entries.
func (d *decision) tooLarge(limit session.Limit, cand *candidate, most, need int) error {
	e := &session.TooLargeError{Limit: limit, Max: most, Need: need, Others: d.Others.Request}
	for _, c := range cand.set {
		e.Session = max(e.Session, len(c.Plaintext()))
		for i := range c.Entries {
			e.Largest = append(e.Largest, session.EntrySize{Name: c.Entries[i].Name, Bytes: c.Entries[i].Len()})
		}
	}
	slices.SortStableFunc(e.Largest, func(a, b session.EntrySize) int { return b.Bytes - a.Bytes })
	e.Largest = e.Largest[:min(len(e.Largest), 3)]
	return e
}
