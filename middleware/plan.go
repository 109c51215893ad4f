package middleware

import (
	"net/http"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// plan is what one response does to the visitor's jar.
type plan struct {
	set     []*core.Fragment
	expire  []string // suffixes
	changes bool     // the session changed; else the plan is empty, a touch or a tidying
}

// facts are what a plan follows from, besides the outcome.
type facts struct {
	write    core.Write
	idle     int64  // ms, 0: none
	touch    int64  // ms
	method   string // of the request
	prefetch bool   // nobody may ever see the response
	response Response
	fixed    bool  // fixed-name mode
	scale    scale // what a fragment weighs on the wire
	limits   Limits
	platform Platform // for the error's text
	jar      []held   // ours in the request, opened or not
	others   weight   // the program's own cookies in the request
	farewell core.Root
}

// held is what the request carried under one suffix.
type held struct {
	suffix string
	weight weight
	waste  bool // nobody can ever open it: its key is dead, it is garbage, or its first piece is gone
}

// settling is the age, in milliseconds, at which a burst of writes is over:
// only then do those who tidy see the same jar and write the same name.
const settling = 2000

// crowd is how many fragments a state may be in before it is tidied up.
const crowd = 3

// decide is the whole policy: a pure function of what the request carried, what
// the handler did and what the response is.
func decide(o core.Outcome, f *facts) (plan, error) {
	if o.View == nil || o.Changes == nil {
		return plan{}, nil
	}
	v, c := o.View, o.Changes
	switch {
	case o.Writes && v.Unopened > 0 && !c.Renewed && !c.Destroyed:
		// What this replica cannot read it could contradict or hide: a write
		// would be lost where the newest ring is, or lose another.
		return plan{}, session.ErrUnknownKey
	case o.Writes && c.Begins(v):
		return f.begin(v, c)
	case o.Writes:
		return f.change(v, c)
	case c.Destroyed:
		return f.destroy(v), nil
	}
	if p, ok := f.tidy(v); ok {
		return p, nil
	}
	return f.touched(v), nil
}

// begin writes a new generation, whole. Sessions that nobody asked for are
// begun by as many requests as are in flight; a renewal is one login's.
func (f *facts) begin(v *core.View, c *core.Changes) (plan, error) {
	ends := c.Destroyed || c.Renewed
	writers := f.limits.Parallel
	if v.Head != nil || f.fixed {
		writers = 1
	}
	s := v.Snapshot(c, f.write)
	d := draft{set: []*core.Fragment{s}, expire: f.leavings(v, true, ends, s)}
	if err := f.fit(d, d.set[0], writers); err != nil {
		return plan{}, err
	}
	return f.plan(d), nil
}

// change writes what a request changed in a session that goes on: as the whole
// state, as a delta beside what is there, or as the joined state and a delta.
func (f *facts) change(v *core.View, c *core.Changes) (plan, error) {
	whole := v.Snapshot(c, f.write)
	if f.fixed {
		return f.only(whole)
	}
	if err := f.mustBeJoinable(v, c, whole); err != nil {
		return plan{}, err
	}
	var first error
	for _, try := range f.ways(v, c, whole) {
		d := try()
		err := f.fit(d, d.own(), f.limits.Parallel)
		if err == nil {
			return f.plan(d), nil
		}
		if first == nil {
			first = err
		}
	}
	if shrinks(v, c) { // nobody may be locked out of emptying a session
		return f.plan(draft{set: []*core.Fragment{whole}, expire: f.leavings(v, true, false, whole)}), nil
	}
	return plan{}, first
}

// ways are the forms of a change, the fittest first.
func (f *facts) ways(v *core.View, c *core.Changes, whole *core.Fragment) []func() draft {
	delta := v.Delta(c, f.write)
	snapshot := func() draft {
		return draft{set: []*core.Fragment{whole}, expire: f.leavings(v, true, false, whole)}
	}
	beside := func() draft {
		return draft{set: []*core.Fragment{delta}, expire: f.leavings(v, false, false, delta)}
	}
	joined := func() draft {
		j := v.Joined(f.write)
		return draft{set: []*core.Fragment{j, delta}, expire: f.leavings(v, true, false, j, delta)}
	}
	switch {
	case delta.Snapshot() || 2*f.scale.weigh(delta).request >= f.scale.weigh(whole).request:
		return []func() draft{snapshot, beside, joined}
	case v.Parts() > crowd && f.chosen(v):
		return []func() draft{joined, snapshot, beside}
	}
	return []func() draft{beside, joined, snapshot}
}

// chosen spreads the joining in a burst: of the writers at work about one does.
func (f *facts) chosen(v *core.View) bool {
	recent := v.Recent(f.write.Now - settling)
	return recent == 0 || int(f.write.ID%uint32(recent)) == 0
}

// only writes the one cookie of fixed-name mode.
func (f *facts) only(s *core.Fragment) (plan, error) {
	d := draft{set: []*core.Fragment{s}}
	if err := f.fit(d, nil, 1); err != nil {
		return plan{}, err
	}
	return f.plan(d), nil
}

// destroy leaves a farewell where something could still land or be opened
// elsewhere, and expires all of ours.
func (f *facts) destroy(v *core.View) plan {
	p := plan{changes: len(f.jar) > 0}
	if !f.fixed && (v.Head != nil || v.Unopened > 0 || v.Verdict == core.Incomplete) {
		p.set = []*core.Fragment{v.Farewell(f.farewell, f.write)}
	}
	if v.Verdict != core.LoggedOut {
		p.expire = f.leavings(v, true, true, p.set...)
	}
	return f.cut(p)
}

// tidy joins what a burst of writes has left, when it is over: all who read
// then write the same content under the same name.
func (f *facts) tidy(v *core.View) (plan, bool) {
	if f.fixed || v.Head == nil || v.Parts() <= crowd || v.Unopened > 0 || !f.mayTouch() ||
		f.write.Now-v.Newest() < settling {
		return plan{}, false
	}
	j := v.Joined(f.write)
	d := draft{set: []*core.Fragment{j}, expire: f.leavings(v, true, false, j)}
	if f.fit(d, nil, 1) != nil {
		return plan{}, false
	}
	p := f.plan(d)
	p.changes = false
	return p, true
}

// touched renews the last-seen time where that is due. A fragment of one piece
// keeps its name and its content, so that a touch cannot undo anything.
func (f *facts) touched(v *core.View) plan {
	if v.Head == nil || f.idle == 0 || f.write.Now-v.Seen < f.touch || !f.mayTouch() {
		return plan{}
	}
	var set *core.Fragment
	for i, frag := range v.Fragments {
		if v.Fates[i] != core.Accepted {
			continue
		}
		if set != nil {
			set = v.Reseen(f.write.Now)
			break
		}
		set = frag.Touched(f.write.Now)
	}
	if f.scale.weigh(set).cookies > 1 {
		set = v.Reseen(f.write.Now)
	}
	if f.fit(draft{set: []*core.Fragment{set}}, set, 1) != nil {
		return plan{} // a session in use ends early rather than lock its browser out
	}
	return plan{set: []*core.Fragment{set}}
}

// mayTouch keeps Set-Cookie off responses that caches share or revalidate.
func (f *facts) mayTouch() bool {
	return !f.prefetch && f.method != http.MethodHead && f.method != http.MethodOptions &&
		f.response.Status != http.StatusNotModified && !public(f.response.CacheControl)
}

// leavings are the suffixes that a write may expire: with joined, what the
// state was made of, which the write carries on; what is dead for ever; and,
// where the program ended the session, everything.
func (f *facts) leavings(v *core.View, joined, all bool, set ...*core.Fragment) []string {
	if f.fixed && len(set) > 0 {
		return nil // it is overwritten
	}
	var gone []string
	for _, h := range f.jar {
		if isSet(set, h.suffix) {
			continue
		}
		if all || h.waste && joined || f.spent(v, h.suffix, joined) {
			gone = append(gone, h.suffix)
		}
	}
	return gone
}

func isSet(set []*core.Fragment, suffix string) bool {
	for _, s := range set {
		if s.Suffix == suffix {
			return true
		}
	}
	return false
}

// spent tells whether a fragment is superfluous for good once the write is there.
func (f *facts) spent(v *core.View, suffix string, joined bool) bool {
	for i, frag := range v.Fragments {
		if frag.Suffix == suffix {
			return f.isSpent(v, frag, v.Fates[i], joined)
		}
	}
	return false // unopened: left where it is
}

func (f *facts) isSpent(v *core.View, frag *core.Fragment, fate core.Fate, joined bool) bool {
	age := f.write.Now - max(frag.Born.At, frag.Seen)
	switch fate {
	case core.Accepted:
		return joined
	case core.Covered, core.Late, core.Ended, core.Dead:
		return true
	case core.Idle:
		// A replica whose clock is ahead must not remove what one behind it
		// has just touched.
		return age > f.idle+2*core.Skew+core.Window
	case core.Torn:
		return v.Unopened == 0 && age > core.Settled
	}
	return false
}

// shrinks tells whether a change only removes or shortens.
func shrinks(v *core.View, c *core.Changes) bool {
	for _, op := range c.Ops {
		if have, ok := v.State.Find(op.Name); op.Value != nil && (!ok || len(op.Value) > len(have.Value)) {
			return false
		}
	}
	return true
}
