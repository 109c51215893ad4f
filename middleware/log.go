package middleware

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/carryon-go/carryon/reason"
)

// logEvery is how often a [Log] repeats a warning of one kind and reason.
const logEvery = 10 * time.Second

// Log makes an observer that writes events to a logger, one line each. What an
// operator should look at is a warning, of which one of each kind and reason is
// written in ten seconds, with the number of those that were left out before it; the rest are
// debug lines. nil means slog.Default().
//
//	middleware.Config{Observer: middleware.Log(logger)}
func Log(logger *slog.Logger) func(context.Context, Event) {
	if logger == nil {
		logger = slog.Default()
	}
	l := &eventLog{logger: logger, now: time.Now}
	return l.observe
}

type eventLog struct {
	logger *slog.Logger
	now    func() time.Time
	mu     sync.Mutex
	last   map[occasion]*tally // as many as there are kinds and reasons
}

// occasion is what warnings are counted by.
type occasion struct {
	kind   EventKind
	reason reason.Reason
	detail string
}

type tally struct {
	at      time.Time
	omitted int
}

func (l *eventLog) observe(ctx context.Context, e Event) {
	level := levelOf(e)
	if !l.logger.Enabled(ctx, level) {
		return
	}
	omitted := 0
	if level >= slog.LevelWarn {
		var write bool
		if omitted, write = l.sample(occasion{e.Kind, e.Reason, e.Detail}); !write {
			return
		}
	}
	l.logger.LogAttrs(ctx, level, "carryon: "+string(e.Kind), attributesOf(e, omitted)...)
}

// sample reports whether a warning is written, and how many like it were not.
func (l *eventLog) sample(o occasion) (omitted int, write bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, t := l.now(), l.last[o]
	switch {
	case t == nil:
		if l.last == nil {
			l.last = map[occasion]*tally{}
		}
		l.last[o] = &tally{at: now}
		return 0, true
	case now.Sub(t.at) < logEvery:
		t.omitted++
		return 0, false
	}
	omitted = t.omitted
	*t = tally{at: now}
	return omitted, true
}

// levelOf separates what an operator should look at from ordinary traffic.
func levelOf(e Event) slog.Level {
	switch e.Kind {
	case EventFailed, EventLateChange, EventLateRead, EventUncached, EventOverBudget, EventClamped, EventUndecodable:
		return slog.LevelWarn
	case EventStore:
		if e.Err != nil {
			return slog.LevelWarn
		}
	case EventRefused:
		return e.Reason.Level()
	}
	return slog.LevelDebug
}

// attributesOf are what an event says; what is zero is left out.
func attributesOf(e Event, omitted int) []slog.Attr {
	list := make([]slog.Attr, 0, 8)
	text := func(name, v string) {
		if v != "" {
			list = append(list, slog.String(name, v))
		}
	}
	number := func(name string, n int) {
		if n != 0 {
			list = append(list, slog.Int(name, n))
		}
	}
	text("reason", e.Reason.String())
	text("session", e.SessionID)
	text("key", e.KeyID)
	text("detail", e.Detail)
	number("set", e.Set)
	number("expired", e.Expired)
	number("bytes", e.Bytes)
	number("cells", e.Cells)
	if e.Duration != 0 {
		list = append(list, slog.Duration("duration", e.Duration))
	}
	if e.Err != nil {
		list = append(list, slog.String("error", e.Err.Error()))
	}
	number("omitted", omitted)
	return list
}
