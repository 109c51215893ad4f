package middleware

import (
	"context"
	"slices"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// observe reports an event of the request.
func (x *Exchange) observe(ctx context.Context, e Event) {
	w := x.state.Load()
	if w != nil && w.found != nil && w.found.merged == nil && (e.Kind == EventRefused || e.Err != nil) {
		w.found.refused = append(w.found.refused, Refusal{Reason: e.Reason, KeyID: e.KeyID, Tag: e.tag, Err: e.Err})
	}
	if w != nil && w.silent {
		return
	}
	x.sessions.report(observed{ctx, x}, e)
}

// observed is the context that an Observer gets. It does not carry the session,
// because the session is locked and an observer that used it would deadlock.
type observed struct {
	context.Context
	x *Exchange
}

// Value returns the request's value of a key, except for the session.
func (o observed) Value(key any) any {
	switch k := key.(type) {
	case core.ContextKey:
		return nil
	case *Sessions:
		if k == o.x.sessions {
			return nil
		}
	}
	return o.Context.Value(key)
}

// report passes an event to the Observer. Without an Observer, failures are logged.
func (s *settings) report(ctx context.Context, e Event) {
	switch {
	case s.config.Observer != nil:
		s.config.Observer(ctx, e)
	case isFailure(e):
		s.failures.observe(ctx, e)
	}
}

// isFailure reports whether an event is caused by a fault of the program, its
// configuration or its store.
func isFailure(e Event) bool {
	switch e.Kind {
	case EventFailed, EventLateChange, EventClamped, EventUndecodable:
		return true
	case EventStore:
		return e.Err != nil
	case EventRefused:
		return e.Reason == reason.ImportFailed || e.Reason == reason.StoreRolledBack
	}
	return false
}

// observeLoad reports each cookie that was refused, and then the load itself.
func (x *requestState) observeLoad(ctx context.Context, v *state.View, took time.Duration) {
	for _, e := range x.found.refusedByLoad() {
		x.observe(ctx, e)
	}
	if j := &x.found.jar; j.Bytes > 0 && j.Bytes+j.OthersBytes > x.sessions.limits.RequestBytes {
		x.observe(ctx, Event{Kind: EventOverBudget, Reason: reason.TooLarge, Bytes: j.Bytes + j.OthersBytes})
	}
	e := Event{Kind: EventLoaded, Reason: v.Reason(), Duration: took, Cells: cells(v), Bytes: x.found.jar.Bytes}
	if v.Head != nil {
		e.SessionID = v.Head.Root.ID()
	}
	x.observe(ctx, e)
}

// refusedByLoad returns an event for each cookie that did not count. If there is no
// session for another reason, an event for that reason follows: for example the
// session was ended, its record is missing, or there are too many cookies.
func (f *loadResult) refusedByLoad() (all []Event) {
	v := f.merged
	for i := range f.groups {
		if g := &f.groups[i]; g.reason != reason.None {
			all = append(all, Event{Kind: EventRefused, Reason: g.reason, KeyID: g.keyID(), tag: f.jar.Groups[i].Tag})
		}
	}
	for _, c := range v.Cookies {
		if c.Kind == state.Head && v.Winner != nil && c.Root != v.Winner.Root {
			all = append(all, Event{Kind: EventRefused, Reason: reason.Superseded, SessionID: c.Root.ID(), tag: c.Tag})
		}
	}
	why := v.Reason()
	if f.jar.TooMany {
		why = reason.TooMany
	}
	reported := func(why reason.Reason) bool {
		return slices.ContainsFunc(all, func(e Event) bool { return e.Reason == why }) ||
			slices.ContainsFunc(f.refused, func(r Refusal) bool { return r.Reason == why })
	}
	if why == reason.None || why == reason.Absent || reported(why) || why == reason.StoreDown && reported(reason.StoreRolledBack) {
		return all
	}
	e := Event{Kind: EventRefused, Reason: why}
	if v.Winner != nil {
		e.SessionID = v.Winner.Root.ID()
	}
	return append(all, e)
}

// allRefused returns the cookies and records that did not count, in the order in
// which the load found them.
func (f *loadResult) allRefused() []Refusal {
	if f.merged == nil {
		return nil
	}
	all := slices.Clone(f.refused)
	for _, e := range f.refusedByLoad() {
		all = append(all, Refusal{Reason: e.Reason, KeyID: e.KeyID, Tag: e.tag, Err: e.Err})
	}
	return all
}

// cells returns the number of entries that are in cells.
func cells(v *state.View) (n int) {
	for i := range v.Entries {
		if v.Entries[i].From != nil {
			n++
		}
	}
	return n
}

// Observers returns an observer that calls those in list, in order. It skips nil
// observers. If no others are left, Observers returns nil.
//
//	middleware.Config{Observer: middleware.Observers(middleware.Log(nil), count)}
func Observers(list ...func(context.Context, Event)) func(context.Context, Event) {
	list = slices.DeleteFunc(slices.Clone(list), func(f func(context.Context, Event)) bool { return f == nil })
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return func(ctx context.Context, e Event) {
		for _, f := range list {
			f(ctx, e)
		}
	}
}
