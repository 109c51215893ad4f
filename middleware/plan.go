package middleware

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// plan is what one response does to the visitor's jar.
type plan struct {
	set     []*core.Fragment
	expire  []string // suffixes
	changes bool     // the session changed; else the plan is empty, a touch or a tidying

	// What the store is asked before the response says so.
	record   *core.Fragment // nil, or the state that goes into the row of its generation
	old, new core.Revision  // of that row
	touched  *core.Fragment // nil, or the reference whose row is to live on
	gone     *core.Fragment // nil, or the reference whose row gets the marker of a logout
	returns  bool           // the state comes back into the cookies

	// What it is asked afterwards.
	left  []*core.Fragment // references of generations that a renewal has ended
	moved *core.Fragment   // nil, or the snapshot that shows that the row is of no use any more

	forget *legacy // nil, or the other library's session that is of no use any more
}

// empty tells whether there is nothing to it.
func (p *plan) empty() bool {
	return len(p.set)+len(p.expire)+len(p.left) == 0 && !p.changes && p.record == nil && p.touched == nil &&
		p.gone == nil && p.moved == nil && p.forget == nil
}

// and is what the response says where an early Save has already written p.
func (p plan) and(q plan) plan {
	if len(q.set) == 0 {
		q.set = p.set
	}
	q.expire = append(q.expire, p.expire...)
	slices.Sort(q.expire)
	q.expire = slices.DeleteFunc(slices.Compact(q.expire), func(suffix string) bool { return isSet(q.set, suffix) })
	q.changes, q.left = p.changes || q.changes, append(p.left, q.left...)
	q.gone, q.moved, q.forget = cmp.Or(q.gone, p.gone), cmp.Or(q.moved, p.moved), cmp.Or(q.forget, p.forget)
	return q
}

// facts are what a plan follows from, besides the outcome.
type facts struct {
	write     core.Write
	idle      int64 // ms, 0: none
	touch     int64 // ms
	quiet     bool  // the request's
	response  Response
	fixed     bool  // fixed-name mode
	scale     scale // what a fragment weighs on the wire
	limits    Limits
	platform  Platform // for the error's text
	jar       []held   // ours in the request, opened or not
	others    weight   // the program's own cookies in the request
	farewell  core.Root
	store     bool // there is one
	revocable bool // it is told of sessions in cookies that end
	mode      Mode
	late      bool     // the header has gone: only the store can take a change
	stranded  bool     // the session's row has gone since it was loaded
	tag       [16]byte // of the revision that the store gets
	renews    bool     // the plan is a renewal's
	removes   bool     // the plan only removes, or only tidies up
	shrinks   bool     // it makes nothing longer
}

// held is what the request carried under one suffix.
type held struct {
	suffix string
	weight weight
	waste  bool // nobody can ever open it: its key is dead, it is garbage, or its first piece is gone
	aging  bool // it is to be sealed anew: its key has retired
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
	p, err := f.choose(o, v, c)
	if err != nil {
		return plan{}, err
	}
	over := v.Ref // of the generation that the store is told of, if it ends here
	if over == nil && f.revocable {
		over = f.over(v, c)
	}
	switch {
	case !f.store || over == nil || !p.changes && !v.Imported:
	case c.Destroyed:
		p.gone = over
	case c.Renewed && v.Head != nil:
		p.left = append(p.left, over)
	}
	return p, nil
}

// over is the generation of a session in cookies that a request ends. A logout
// also ends one that it cannot see any more: that this browser has not used it for
// long, or has lost a part of it, does not say that nobody has it, and a store that
// could not be asked may be back.
func (f *facts) over(v *core.View, c *core.Changes) *core.Fragment {
	if v.Head != nil || !c.Destroyed || v.Verdict == core.Revoked || v.Verdict == core.LoggedOut {
		return v.Head
	}
	var last *core.Fragment
	for i, frag := range v.Fragments {
		lives := v.Fates[i] == core.Idle || v.Fates[i] == core.Accepted || v.Fates[i] == core.Torn
		if lives && (last == nil || frag.Born.Compare(last.Born) > 0) {
			last = frag
		}
	}
	return last
}

func (f *facts) choose(o core.Outcome, v *core.View, c *core.Changes) (plan, error) {
	switch {
	case o.Writes && v.Verdict == core.StoreDown && !c.Renewed && !c.Destroyed:
		return plan{}, session.ErrStoreDown
	case o.Writes && v.Unopened > 0 && !c.Renewed && !c.Destroyed:
		// What this replica cannot read it could contradict or hide: a write
		// would be lost where the newest ring is, or lose another.
		return plan{}, session.ErrUnknownKey
	case o.Writes && c.Begins(v):
		return f.begin(v, c)
	case v.Imported && o.Writes:
		return f.adopt(v, c, true)
	case v.Imported && !c.Destroyed && f.mayTouch():
		if p, err := f.adopt(v, c, false); err == nil {
			return p, nil // what does not fit stays the other library's until it is written
		}
		return plan{}, nil
	case o.Writes:
		return f.change(v, c)
	case c.Destroyed:
		return f.destroy(v), nil
	}
	if p, ok := f.tidy(v); ok {
		return p, nil
	}
	if p := f.touched(v); len(p.set) > 0 {
		return p, nil
	}
	p, _ := f.reseal(v)
	return p, nil
}

// begin writes a new generation, whole. Sessions that nobody asked for are
// begun by as many requests as are in flight; a renewal is one login's.
func (f *facts) begin(v *core.View, c *core.Changes) (plan, error) {
	f.renews = c.Renewed
	s, all := v.Snapshot(c, f.write), c.Destroyed || c.Renewed
	if f.mode == AlwaysStored {
		return f.spill(v, s, core.Revision{}, all, nil)
	}
	d := draft{own: s, expire: f.leavings(v, true, all, s)}
	if err := f.fit(&d, crowded); err != nil {
		return f.spill(v, s, core.Revision{}, all, err)
	}
	return d.plan(true), nil
}

// destroy leaves a farewell wherever something was there that could still land,
// as a touch of an idle session does, or be opened elsewhere, and expires all
// of ours. A session that is logged out already is left so.
func (f *facts) destroy(v *core.View) plan {
	d := draft{}
	if v.Verdict == core.LoggedOut && v.Unopened == 0 && slices.ContainsFunc(v.Fragments, isLogout) {
		return d.plan(len(f.jar) > 0)
	}
	if !f.fixed && (v.Any() || v.Unopened > 0) {
		d.own = v.Farewell(f.farewell, f.write)
	}
	d.expire = f.leavings(v, true, true, d.set()...)
	var sent weight
	for _, s := range d.set() {
		sent = f.scale.weigh(s)
	}
	f.cut(&d, sent)
	return d.plan(len(f.jar) > 0)
}

func isLogout(f *core.Fragment) bool { return f.Kind == core.Logout }

// tidy joins what a burst of writes has left, when it is over: all who read
// then write the same content under the same name. Where only leftovers are
// there it expires them.
func (f *facts) tidy(v *core.View) (plan, bool) {
	if v.Head == nil || len(v.Fragments) <= crowd || !f.mayTouch() || !f.calm(v) {
		return plan{}, false
	}
	if v.Parts() > crowd && v.Ref == nil {
		return f.join(v)
	}
	if touchDue(v, f.write.Now, f.idle, f.touch) {
		return plan{}, false // the touch takes the leftovers along
	}
	return f.tidied(&draft{expire: f.leavings(v, false, false)})
}

// tidied is the plan of a draft that only tidies up, if there is anything to it and it fits.
func (f *facts) tidied(d *draft) (plan, bool) {
	f.removes = true
	if len(d.expire) == 0 || f.fit(d, alone) != nil {
		return plan{}, false
	}
	return d.plan(false), true
}

// calm tells whether a reader may tidy up: nothing is unknown, and the burst is over.
func (f *facts) calm(v *core.View) bool {
	return !f.fixed && v.Unopened == 0 && f.write.Now-v.Newest() >= settling
}

// join puts the whole state in the place of what it is made of. It is seen now, too.
func (f *facts) join(v *core.View) (plan, bool) {
	d := draft{joined: v.Joined(f.write)}
	d.expire = f.leavings(v, true, false, d.joined)
	return f.tidied(&d)
}

// touched renews the last-seen time where that is due, and takes along what is
// superfluous.
func (f *facts) touched(v *core.View) plan {
	if !touchDue(v, f.write.Now, f.idle, f.touch) || !f.mayTouch() {
		return plan{}
	}
	d, calm := draft{own: f.reseen(v), again: true}, f.calm(v)
	if calm {
		d.expire = f.leavings(v, false, false, d.own)
	}
	if f.fit(&d, crowded) != nil {
		if v.Ref == nil && calm {
			p, _ := f.join(v)
			return p
		}
		return plan{} // a session in use ends early rather than lock its browser out
	}
	p := d.plan(false)
	if v.Ref != nil {
		p.touched = v.Ref.Touched(f.write.Now)
	}
	return p
}

// reseen is what says that the visitor was seen now: the session's one cookie, which
// keeps its name and its content, so that a touch cannot undo anything, or the idle
// clock of one of several.
func (f *facts) reseen(v *core.View) *core.Fragment {
	var only *core.Fragment
	for i, frag := range v.Fragments {
		if v.Fates[i] != core.Accepted || frag.Stored {
			continue
		}
		if only != nil {
			return v.Reseen(f.write.Now)
		}
		only = frag.Touched(f.write.Now)
	}
	if f.scale.weigh(only).cookies > 1 {
		return v.Reseen(f.write.Now)
	}
	return only
}

// touchDue tells whether a session's last-seen time is so old that it is renewed:
// the configured interval, or half of an idle timeout of its own.
func touchDue(v *core.View, now, idle, touch int64) bool {
	switch {
	case v.Head == nil:
		return false
	case v.Head.Idle != 0:
		idle, touch = v.Head.Idle, v.Head.Idle/2
	}
	return idle > 0 && now-v.Seen >= touch
}

func (f *facts) mayTouch() bool { return mayTouch(f.quiet, f.response) }

// mayTouch keeps Set-Cookie off responses that caches share or revalidate, and
// off those that nobody may ever see.
func mayTouch(quiet bool, w Response) bool {
	return !quiet && !w.prefetch && w.Status != http.StatusNotModified && !public(w.CacheControl)
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
		if frag.Suffix == suffix && !frag.Stored {
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
		return age > cmp.Or(frag.Idle, f.idle)+2*core.Skew+core.Window
	case core.Torn:
		return v.Unopened == 0 && age > core.Settled
	}
	return false
}
