package middleware

import (
	"context"
	"slices"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// observeLoad tells of every cookie that was refused, then of the load itself.
func (x *work) observeLoad(ctx context.Context, v *core.View, took time.Duration) {
	for _, r := range x.found.refusals {
		x.observe(ctx, Event{Kind: EventRefused, Reason: r.reason, KeyID: r.key})
	}
	for i, f := range v.Fragments {
		if reason := session.ReasonOfFate(v.Fates[i]); reason != "" {
			x.observe(ctx, Event{Kind: EventRefused, Reason: reason, SessionID: f.Root.ID()})
		}
	}
	x.observeVerdict(ctx, v)
	if j := &x.found.jar; j.bytes > 0 && j.bytes+j.foreign > x.sessions.limits.RequestBytes {
		x.observe(ctx, Event{Kind: EventOverBudget, Reason: session.TooLarge, Bytes: j.bytes + j.foreign})
	}
	e := Event{Kind: EventLoaded, Reason: session.ReasonOf(v), Duration: took, Fragments: v.Count(core.Accepted, core.Covered),
		Bytes: x.found.jar.bytes}
	if v.Head != nil {
		e.SessionID = v.Head.Root.ID()
	}
	x.observe(ctx, e)
}

// observeVerdict tells why there is no session where that is no single cookie's
// fault: it was ended, its record is missing, too much came.
func (x *work) observeVerdict(ctx context.Context, v *core.View) {
	reason := session.ReasonOf(v)
	if x.found.jar.tooMany {
		reason = session.TooMany
	}
	told := x.found.told
	if reason == session.Recognised || reason == session.Absent || told[reason] ||
		reason == session.StoreDown && told[session.StoreRolledBack] {
		return
	}
	e := Event{Kind: EventRefused, Reason: reason}
	for i, f := range v.Fragments {
		if v.Fates[i] == core.Accepted {
			e.SessionID = f.Root.ID()
		}
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
