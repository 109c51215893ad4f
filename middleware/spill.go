package middleware

import (
	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
)

// changeStored writes a change of a session that is in the store, or is to be
// there whatever its size.
func (f *facts) changeStored(m *forms) (plan, error) {
	if f.stranded {
		return f.strand(m)
	}
	v, whole := m.view, m.snapshot()
	if f.mode == AlwaysStored || f.late {
		return f.spill(v, whole, v.Record, false, nil)
	}
	d, ok := f.comeBack(v, whole)
	if ok || f.mode == AlwaysCookies {
		err := f.fit(&d, crowded)
		if err == nil {
			p := d.plan(true)
			p.returns = true
			return p, nil
		}
		if f.mode == AlwaysCookies {
			return plan{}, err
		}
	}
	return f.spill(v, whole, v.Record, false, nil)
}

// comeBack is the draft with which a state returns from the store into the
// cookies, and whether it takes few enough of them to stay there for a while: 60 % of
// what a write may take. Whoever writes to the record meanwhile refers to a
// higher number than this snapshot says has moved, so that the two are merged.
func (f *facts) comeBack(v *core.View, whole *core.Fragment) (draft, bool) {
	back := *whole
	back.Moved = max(v.Ref.Number, v.Record.Number, v.Moved)
	d := draft{own: back.Fresh()}
	if n := back.Weight(); n > f.limits.share() && f.scale.packing == nil && f.mode != AlwaysCookies {
		return d, false // without building it: it may be a megabyte
	}
	d.expire = f.leavings(v, true, false, d.own)
	w, l := f.scale.weigh(d.own), f.limits
	small := within60(w.request, l.share()) && within60(w.response, l.ResponseBytes) &&
		within60(w.cookies, max(l.SetCookieLines, 2)) && within60(w.cookies, max(l.Cookies, 2))
	if f.fixed {
		small = w.cookies == 1 && within60(w.response, l.CookieBytes)
	}
	return d, small
}

func within60(n, most int) bool { return 10*n <= 6*most }

// spill writes a state into the store at the place of revision old, and a
// reference into the cookies in place of what it was made of. Where there is no
// store, or it must not be used, the answer is why the cookies do not do.
func (f *facts) spill(v *core.View, whole *core.Fragment, old core.Revision, all bool, refused error) (plan, error) {
	if refused != nil && (!f.store || f.mode == AlwaysCookies) {
		return plan{}, refused
	}
	if n := whole.PlaintextLen(); n > codec.MaxRecordPlaintext {
		return plan{}, tooLarge([]*core.Fragment{whole}, "", "bytes of a stored session", codec.MaxRecordPlaintext, n)
	}
	next := core.Revision{Number: old.Number, Tag: f.tag}
	if v.Head != nil && v.Head.Root == whole.Root {
		next.Number = max(next.Number, v.Moved)
		if v.Ref != nil { // higher than the record's where the store has been rolled back
			next.Number = max(next.Number, v.Ref.Number)
		}
	}
	next.Number++
	ref := whole.Refer(next)
	d := draft{own: ref, expire: f.leavings(v, true, all, ref)}
	f.shrinks = true // the cookies, whatever it does to the session
	if err := f.fit(&d, crowded); err != nil {
		return plan{}, err
	}
	p := d.plan(true)
	p.record, p.old, p.new = whole, old, next
	return p, nil
}

// strand writes the changes alone, where the row that they build on has gone
// since. If the state has moved into cookies they find it there; if it was
// removed they must not bring it back.
func (f *facts) strand(m *forms) (plan, error) {
	if f.late {
		return plan{}, storeDown(errStranded)
	}
	delta := m.delta()
	if delta.Snapshot() {
		return plan{}, storeDown(errStranded) // it would pass for the whole session
	}
	d := draft{own: delta, expire: f.leavings(m.view, false, false, delta)}
	if f.fit(&d, crowded) != nil {
		return plan{}, storeDown(errStranded)
	}
	return d.plan(true), nil
}

// collect lets a snapshot that is written anyway say that the row which the
// state has moved out of is being emptied. The move is so long ago that
// nobody in flight can have seen the row as the state, and its snapshot has
// arrived, for it is in the cookies.
func (f *facts) collect(v *core.View, p plan) plan {
	if len(p.set) != 1 || !p.set[0].Snapshot() {
		return p
	}
	s := p.set[0]
	s.Number = v.Moved
	p.set[0] = s.Fresh()
	p.set[0].Name()
	p.moved = p.set[0]
	return p
}
