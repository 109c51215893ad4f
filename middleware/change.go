package middleware

import "github.com/carryon-go/carryon/internal/core"

// forms are what a change can be written as, each made when it is asked for:
// most changes are sent as a delta, and then nobody puts the whole state together.
type forms struct {
	view    *core.View
	changes *core.Changes
	write   core.Write
	all     *core.Fragment // nil: nobody has asked for it yet
	own     *core.Fragment

	least, most int // bounds of the length of all; 0: nobody has asked for them yet
}

// bounds are how long the plaintext of the snapshot is, about, without making it.
func (m *forms) bounds() (least, most int) {
	if m.most == 0 {
		m.least, m.most = m.view.SnapshotLen(m.changes)
	}
	return m.least, m.most
}

// snapshot is the whole state after the change.
func (m *forms) snapshot() *core.Fragment {
	if m.all == nil {
		m.all = m.view.Snapshot(m.changes, m.write)
	}
	return m.all
}

// delta is the change by itself.
func (m *forms) delta() *core.Fragment {
	if m.own == nil {
		m.own = m.view.Delta(m.changes, m.write)
	}
	return m.own
}

// change writes what a request changed in a session that goes on: as the whole
// state, as a delta beside what is there, or as the joined state and a delta.
func (f *facts) change(v *core.View, c *core.Changes) (plan, error) {
	m := forms{view: v, changes: c, write: f.write}
	f.removes, f.shrinks = shrinks(v, c)
	switch {
	case v.Ref != nil || f.mode == AlwaysStored:
		return f.changeStored(&m)
	case v.Record != core.Revision{}:
		// Others have moved the state into a row, which their response is to say. Now
		// that it is merged a change would fit that leaves it to be found there.
		return f.spill(v, m.snapshot(), v.Record, false, nil)
	}
	p, err := f.changeCookies(&m)
	if err != nil {
		return f.spill(v, m.snapshot(), v.Record, false, err)
	}
	if f.store && v.Moved > v.Collected && v.MovedBefore(f.write.Now-core.Settled) {
		p = f.collect(v, p)
	}
	return p, nil
}

// changeCookies writes a change of a session that is in the cookies.
func (f *facts) changeCookies(m *forms) (plan, error) {
	others := f.mood(m.view)
	if f.fixed {
		d := draft{own: m.snapshot()}
		return d.plan(true), f.fit(&d, others)
	}
	if !f.shrinks && !f.joinable(m) {
		return plan{}, f.unjoinable(m.snapshot())
	}
	if f.mostly(m) {
		if d := f.draft(m, whole); f.fit(&d, others) == nil {
			return d.plan(true), nil
		}
	}
	var refused error
	for _, w := range f.ways(m, others) {
		if w == joined && others == crowded {
			continue
		}
		d := f.draft(m, w)
		err := f.fit(&d, others)
		if err == nil {
			return d.plan(true), nil
		}
		if refused == nil {
			refused = err
		}
	}
	return plan{}, refused
}

// mood tells who else may be writing. Where the newest write is old the burst is
// over, and where the last writes each saw the ones before, nobody has written
// beside anybody lately: in both cases those at work now saw this jar. A handler
// that took long may have seen another.
func (f *facts) mood(v *core.View) mood {
	if f.write.Now-v.Loaded < settling && (f.write.Now-v.Newest() >= settling || v.Parts() > crowd+1 && v.Chained()) {
		return alone
	}
	return crowded
}

// A way is a form that a change can take.
type way byte

const (
	whole  way = iota // the whole state in one fragment
	beside            // a delta beside what is there
	joined            // the state as it was found in one fragment, and a delta; of use only if others send the same one
)

var (
	wholeFirst  = []way{whole, beside, joined}
	joinedFirst = []way{joined, whole, beside}
	besideFirst = []way{beside, joined, whole}
)

// ways are the forms of a change, the fittest first.
func (f *facts) ways(m *forms, others mood) []way {
	many := m.view.Parts() > crowd
	switch {
	case m.delta().Snapshot() || f.half(m.delta().WireLen(f.scale.packing), m),
		many && others == crowded && f.chosen(m.view):
		return wholeFirst
	case many && others != crowded:
		return joinedFirst
	}
	return besideFirst
}

// mostly tells whether a delta would have to carry so much of the whole state that
// ways puts the whole first, whatever else is in the delta: it need not be made.
func (f *facts) mostly(m *forms) bool {
	least := core.LeastData
	for _, op := range m.changes.Ops {
		least += len(op.Name) + len(op.Value)
		if op.Value == nil {
			return false // it may be no write at all
		}
	}
	return f.scale.packing == nil && f.half(least, m)
}

// half tells whether a delta of that many bytes takes at least half of what the
// whole state does. That is known without making it, unless it is about half.
func (f *facts) half(delta int, m *forms) bool {
	size := 2 * f.scale.sealed(delta).request
	if f.scale.packing == nil && m.all == nil {
		least, most := m.bounds()
		switch {
		case size < f.scale.sealed(least).request:
			return false
		case size >= f.scale.sealed(most).request:
			return true
		}
	}
	return size >= f.scale.weigh(m.snapshot()).request
}

// joinable tells whether the state after a change can be sent whole in one
// response: if not, nobody could ever join it again.
func (f *facts) joinable(m *forms) bool {
	_, most := m.bounds()
	return f.sendable(f.scale.sealed(most)) || f.sendable(f.scale.weigh(m.snapshot()))
}

func (f *facts) sendable(w weight) bool {
	return w.response <= f.limits.ResponseBytes && w.cookies <= f.limits.SetCookieLines
}

// draft is a change in one of its ways.
func (f *facts) draft(m *forms, w way) draft {
	switch w {
	case whole:
		return draft{own: m.snapshot(), expire: f.leavings(m.view, true, false, m.snapshot())}
	case joined:
		j := m.view.Joined(f.write)
		return draft{joined: j, own: m.delta(), expire: f.leavings(m.view, true, false, j, m.delta())}
	}
	return draft{own: m.delta(), expire: f.leavings(m.view, false, false, m.delta())}
}

// chosen spreads the joining in a burst: of the writers at work about one does.
func (f *facts) chosen(v *core.View) bool {
	recent := v.Recent(f.write.Now - settling)
	return recent == 0 || int(f.write.ID%uint32(recent)) == 0
}

// shrinks tells whether a change only removes names, and whether it makes
// nothing longer and something shorter.
func shrinks(v *core.View, c *core.Changes) (removes, shorter bool) {
	removes, shorter = true, c.Cleared
	for _, op := range c.Ops {
		have, ok := v.State.Find(op.Name)
		if op.Value != nil && (!ok || len(op.Value) > len(have.Value)) {
			return false, false
		}
		removes = removes && op.Value == nil
		shorter = shorter || len(op.Value) < len(have.Value)
	}
	return removes, shorter
}
