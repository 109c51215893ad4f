package middleware

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/reason"
)

// newLog returns a Log whose clock a test moves.
func newLog(level slog.Level) (l *eventLog, written *strings.Builder, now *time.Time) {
	written, now = &strings.Builder{}, new(time.Time)
	handler := slog.NewTextHandler(written, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return &eventLog{logger: slog.New(handler), now: func() time.Time { return *now }}, written, now
}

func TestLogWritesOneLineForEachEvent(t *testing.T) {
	l, written, _ := newLog(slog.LevelDebug)
	for _, e := range []Event{
		{Kind: EventLoaded, SessionID: "id", Bytes: 300, Cells: 2, Duration: time.Millisecond},
		{Kind: EventRefused, Reason: reason.UnknownKey, KeyID: "01020304"},
		{Kind: EventRefused, Reason: reason.Expired},
		{Kind: EventFailed, Reason: reason.StoreDown, Err: errors.New("no answer\nat all")},
		{Kind: EventStore, Detail: "load", Bytes: 7},
	} {
		l.observe(context.Background(), e)
	}
	require.Equal(t, `level=DEBUG msg="carryon: loaded" session=id bytes=300 cells=2 duration=1ms
level=WARN msg="carryon: refused" reason="unknown key" key=01020304
level=DEBUG msg="carryon: refused" reason=expired
level=WARN msg="carryon: failed" reason="store down" error="no answer\nat all"
level=DEBUG msg="carryon: store call" detail=load bytes=7
`, written.String())
}

// Many warnings of one kind and reason give one line in ten seconds, which has the
// number of those omitted.
func TestLogSamplesWarnings(t *testing.T) {
	l, written, now := newLog(slog.LevelInfo)
	flood := func(n int, why reason.Reason) {
		for range n {
			l.observe(context.Background(), Event{Kind: EventRefused, Reason: why})
		}
	}
	flood(1000, reason.UnknownKey)
	flood(1000, reason.Expired) // ordinary traffic: not a warning
	flood(1, reason.BadSeal)
	*now = now.Add(logEvery)
	flood(2, reason.UnknownKey)
	flood(1, reason.BadSeal)
	require.Equal(t, []string{
		`level=WARN msg="carryon: refused" reason="unknown key"`,
		`level=WARN msg="carryon: refused" reason="bad seal"`,
		`level=WARN msg="carryon: refused" reason="unknown key" omitted=999`,
		`level=WARN msg="carryon: refused" reason="bad seal"`,
	}, strings.Split(strings.TrimSpace(written.String()), "\n"))
}

func TestLogOfNil(t *testing.T) {
	Log(nil)(context.Background(), Event{Kind: EventLoaded})
}
