package middleware

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/carryon-go/carryon/reason"
)

// logEvery is how often a [Log] repeats a warning with the same kind, reason and
// detail.
const logEvery = 10 * time.Second

// Log returns an observer that writes each event to a logger, as one line. Events
// that need an operator's attention are warnings, all others are debug lines. Of
// the warnings with the same kind, reason and detail, Log writes one in ten
// seconds; "omitted" is the number of warnings left out before that one. A nil
// logger means slog.Default().
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
	last   map[warningKey]*warningCount
}

// warningKey identifies the warnings that are counted together.
type warningKey struct {
	kind   EventKind
	reason reason.Reason
	detail string
}

// warningCount counts the warnings of one key.
type warningCount struct {
	at      time.Time // of the last warning written
	omitted int       // number of warnings left out since then
}

// observe writes an event to the logger, or counts it as omitted.
func (l *eventLog) observe(ctx context.Context, e Event) {
	level := levelOf(e)
	if !l.logger.Enabled(ctx, level) {
		return
	}
	omitted := 0
	if level >= slog.LevelWarn {
		var write bool
		if omitted, write = l.sample(warningKey{e.Kind, e.Reason, e.Detail}); !write {
			return
		}
	}
	l.logger.LogAttrs(ctx, level, "carryon: "+string(e.Kind), attributesOf(e, omitted)...)
}

// sample reports whether a warning is to be written, and how many were omitted
// before it.
func (l *eventLog) sample(key warningKey) (omitted int, write bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, t := l.now(), l.last[key]
	switch {
	case t == nil:
		if l.last == nil {
			l.last = map[warningKey]*warningCount{}
		}
		l.last[key] = &warningCount{at: now}
		return 0, true
	case now.Sub(t.at) < logEvery:
		t.omitted++
		return 0, false
	}
	omitted = t.omitted
	*t = warningCount{at: now}
	return omitted, true
}

// levelOf returns the level of an event: a warning if it needs an operator's
// attention.
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

// attributesOf returns the attributes of an event without those that are zero.
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
