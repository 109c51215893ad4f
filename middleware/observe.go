package middleware

import (
	"context"
	"slices"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

func (x *Exchange) observe(ctx context.Context, e Event) {
	w := x.state.Load()
	if w != nil && w.found != nil && !x.committed() && (e.Kind == EventRefused || e.Err != nil) {
		if w.found.told == nil {
			w.found.told = make(map[reason.Reason]bool, 1)
		}
		w.found.told[e.Reason] = true
	}
	if w != nil && w.listen != nil {
		w.listen(e)
		return
	}
	x.sessions.tell(observed{ctx, x}, e)
}

// observed is the context of an Observer. The session is not in it: the session is
// locked at that time, and an observer that asked for it would deadlock.
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

// tell tells the Observer of an event. Without one, failures are logged: none of
// them is silent.
func (s *settings) tell(ctx context.Context, e Event) {
	switch {
	case s.Observer != nil:
		s.Observer(ctx, e)
	case isFailure(e):
		s.failures.observe(ctx, e)
	}
}

// isFailure reports whether an event tells of something that was lost or refused
// by a fault of the program, its configuration or its store.
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

// observeLoad tells of every cookie that was refused, then of the load itself.
func (x *requestState) observeLoad(ctx context.Context, v *state.View, took time.Duration) {
	for i := range x.found.groups {
		x.observeGroup(ctx, &x.found.groups[i], x.found.jar.Groups[i].Tag)
	}
	for _, c := range v.Cookies {
		if c.Kind == state.Head && v.Winner != nil && c.Root != v.Winner.Root {
			x.observe(ctx, Event{Kind: EventRefused, Reason: reason.Superseded, SessionID: c.Root.ID(), tag: c.Tag})
		}
	}
	x.observeVerdict(ctx, v)
	if j := &x.found.jar; j.Bytes > 0 && j.Bytes+j.OthersBytes > x.sessions.limits.RequestBytes {
		x.observe(ctx, Event{Kind: EventOverBudget, Reason: reason.TooLarge, Bytes: j.Bytes + j.OthersBytes})
	}
	e := Event{Kind: EventLoaded, Reason: v.Reason(), Duration: took, Cells: cells(v), Bytes: x.found.jar.Bytes}
	if v.Head != nil {
		e.SessionID = v.Head.Root.ID()
	}
	x.observe(ctx, e)
}

// observeGroup tells of a group that did not open.
func (x *requestState) observeGroup(ctx context.Context, fate *groupFate, tag string) {
	if fate.reason == reason.None {
		return
	}
	e := Event{Kind: EventRefused, Reason: fate.reason, tag: tag}
	if e.Reason == reason.UnknownKey || e.Reason == reason.DeadKey {
		e.KeyID = fate.key.String()
	}
	x.observe(ctx, e)
}

// cells counts the entries that are in cells.
func cells(v *state.View) (n int) {
	for i := range v.Entries {
		if v.Entries[i].From != nil {
			n++
		}
	}
	return n
}

// observeVerdict tells why there is no session where that is no single cookie's
// fault: it was ended, its record is missing, too many cookies came.
func (x *requestState) observeVerdict(ctx context.Context, v *state.View) {
	why := v.Reason()
	if x.found.jar.TooMany {
		why = reason.TooMany
	}
	told := x.found.told
	if why == reason.None || why == reason.Absent || told[why] ||
		why == reason.StoreDown && told[reason.StoreRolledBack] {
		return
	}
	e := Event{Kind: EventRefused, Reason: why}
	if v.Winner != nil {
		e.SessionID = v.Winner.Root.ID()
	}
	x.observe(ctx, e)
}

// Observers makes one observer of several, which are told in this order. Those
// that are nil are left out; of none it is nil.
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
