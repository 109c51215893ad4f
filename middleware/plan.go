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
	changes bool     // the session changed; else the plan is empty or a touch
}

// facts are what a plan follows from, besides the outcome.
type facts struct {
	write    core.Write
	idle     int64  // ms, 0: none
	touch    int64  // ms
	method   string // of the request
	response Response
	jar      []string // the suffixes of ours that the request carried, opened or not
	farewell core.Root
}

// plan gathers the facts of this exchange.
func (x *Exchange) plan(o core.Outcome, r Response) (plan, error) {
	m := x.sessions
	f := facts{
		write: core.Write{Now: core.Millis(m.Clock()), ID: core.NewWriteID(), Lifetime: m.lifetime, Browser: m.BrowserSession},
		idle:  m.idle, touch: m.touch, method: x.request.Method, response: r,
	}
	for _, c := range x.jar {
		f.jar = append(f.jar, c.suffix)
	}
	if o.Changes != nil && o.Changes.Destroyed {
		f.farewell = core.NewRoot()
	}
	return decide(o, f)
}

// decide is the whole policy, a pure function of what the request carried, what
// the handler did and what the response is.
func decide(o core.Outcome, f facts) (plan, error) {
	if o.View == nil || o.Changes == nil {
		return plan{}, nil
	}
	ends := o.Changes.Destroyed || o.Changes.Renewed
	switch {
	case o.Writes && blind(o.View) && !ends:
		return plan{}, session.ErrUnknownKey
	case o.Writes:
		p := plan{changes: true, set: []*core.Fragment{o.View.Snapshot(o.Changes, f.write)}}
		p.expire = f.leavings(o.View, ends, p.set)
		return p, nil
	case o.Changes.Destroyed:
		return f.destroy(o.View), nil
	}
	return f.touched(o.View), nil
}

// blind tells whether all that was found is closed to this replica: writing
// beside it would hide a session that another replica can read.
func blind(v *core.View) bool { return v.Head == nil && v.Unopened > 0 }

// destroy leaves a farewell where something could still land or be opened
// elsewhere, and expires all of ours.
func (f *facts) destroy(v *core.View) plan {
	p := plan{changes: len(f.jar) > 0}
	if v.Head != nil || v.Unopened > 0 || v.Verdict == core.Incomplete {
		p.set = []*core.Fragment{v.Farewell(f.farewell, f.write)}
	}
	if v.Verdict != core.LoggedOut {
		p.expire = f.leavings(v, true, p.set)
	}
	return p
}

// touched renews the last-seen time where that is due. The cookie keeps its
// name and its content, so that a touch cannot undo anything.
func (f *facts) touched(v *core.View) plan {
	if v.Head == nil || f.idle == 0 || f.write.Now-v.Seen < f.touch || !f.mayTouch() {
		return plan{}
	}
	var only *core.Fragment
	for i, frag := range v.Fragments {
		if v.Fates[i] != core.Accepted {
			continue
		}
		if only != nil {
			return plan{set: []*core.Fragment{v.Reseen(f.write.Now)}}
		}
		only = frag
	}
	return plan{set: []*core.Fragment{only.Touched(f.write.Now)}}
}

// mayTouch keeps Set-Cookie off responses that caches share or revalidate.
func (f *facts) mayTouch() bool {
	return f.method != http.MethodHead && f.method != http.MethodOptions &&
		f.response.Status != http.StatusNotModified && !public(f.response.CacheControl)
}

// leavings are the suffixes that a write may expire: what it carries on, what
// is dead for ever, and, where the program ended the session, everything.
func (f *facts) leavings(v *core.View, all bool, set []*core.Fragment) []string {
	var gone []string
	add := func(suffix string) {
		for _, s := range set {
			if s.Suffix == suffix {
				return
			}
		}
		for _, s := range gone {
			if s == suffix {
				return
			}
		}
		gone = append(gone, suffix)
	}
	if all {
		for _, suffix := range f.jar {
			add(suffix)
		}
		return gone
	}
	for i, frag := range v.Fragments {
		if f.spent(v, frag, v.Fates[i]) {
			add(frag.Suffix)
		}
	}
	return gone
}

// spent tells whether a snapshot makes a fragment superfluous for good.
func (f *facts) spent(v *core.View, frag *core.Fragment, fate core.Fate) bool {
	age := f.write.Now - max(frag.Born.At, frag.Seen)
	switch fate {
	case core.Accepted, core.Covered, core.Late, core.Ended:
		return true
	case core.Dead:
		// A logout has to outlive what was in flight beside it.
		return frag.Kind != core.Logout || age > core.Settled
	case core.Idle:
		// A replica whose clock is ahead must not remove what one behind it
		// has just touched.
		return age > f.idle+2*core.Skew+core.Window
	case core.Torn:
		return v.Unopened == 0 && age > core.Settled
	}
	return false
}
