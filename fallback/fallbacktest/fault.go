package fallbacktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

var faultCases = []testCase{
	{name: "cancelled context", run: cancelled,
		why: "a visitor who disconnects must not be logged out or cause half a write"},
	{name: "contexts that end during a call", run: cancelledDuringACall,
		why: "a cancelled write must leave either the old record or the new one"},
	{name: "outage", run: outage, needs: needsBreak,
		why: "if an outage looks like a missing record, the visitor is logged out"},
}

func needsBreak(s Setup) string {
	if s.Break == nil {
		return "Setup.Break is nil: outages are not tested"
	}
	return ""
}

// everyCall makes every call of the store once.
func everyCall(ctx context.Context, s Setup, old, next fallback.Record) map[string]error {
	calls := map[string]error{
		"Load":              load(ctx, s, id),
		"Save":              s.Store.Save(ctx, id, old.Revision, next),
		"Save of a new one": s.Store.Save(ctx, id+"new", fallback.Revision{}, next),
		"Touch":             s.Store.Touch(ctx, id, next.Expires.Add(time.Minute)),
		"Delete":            s.Store.Delete(ctx, id),
	}
	if c, ok := s.Store.(fallback.Counter); ok {
		_, calls["Len"] = c.Len(ctx)
	}
	if c, ok := s.Store.(fallback.Clearer); ok {
		calls["Clear"] = c.Clear(ctx)
	}
	if c, ok := s.Store.(fallback.Sweeper); ok {
		_, calls["Sweep"] = c.Sweep(ctx, 10)
	}
	return calls
}

func cancelled(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	late, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Minute))
	defer cancel()
	for _, dead := range []context.Context{ended, late} {
		for what, err := range everyCall(dead, s, rec, s.record(rec.Revision, "two")) {
			if err := checkError(err, dead.Err(), what+" under a context that has ended"); err != nil {
				return err
			}
			if name := sentinel(err); name != "" {
				return fmt.Errorf("%s under a context that has ended also returned %q", what, name)
			}
		}
	}
	if err := checkRecord(ctx, s.other(), id, rec); err != nil {
		return fmt.Errorf("after calls under a context that has ended: %w", err)
	}
	return checkAbsent(ctx, s.Store, id+"new")
}

func cancelledDuringACall(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	for i := range 30 {
		next := s.record(rec.Revision, fmt.Sprint("write ", i))
		brief, cancel := context.WithTimeout(ctx, time.Duration(i*i)*2*time.Microsecond)
		saved := s.Store.Save(brief, id, rec.Revision, next)
		cancel()
		if name := sentinel(saved); name != "" {
			return fmt.Errorf("a cancelled Save returned %q", name)
		}
		if rec, err = resolveWrite(ctx, s, saved, rec, next); err != nil {
			return err
		}
	}
	return nil
}

// resolveWrite determines which of two states is stored. A cancelled write may
// still arrive, so it saves the record again.
func resolveWrite(ctx context.Context, s Setup, saved error, old, next fallback.Record) (fallback.Record, error) {
	if saved == nil {
		return next, checkRecord(ctx, s.other(), id, next)
	}
	got, err := s.other().Load(ctx, id)
	if err != nil {
		return old, fmt.Errorf("a Load after a cancelled Save: %w", err)
	}
	if got.Revision != old.Revision && got.Revision != next.Revision {
		return old, errors.New("after a cancelled Save the store has neither the old nor the new record")
	}
	if err := s.Store.Save(ctx, id, old.Revision, next); err != nil {
		return old, fmt.Errorf("the same Save again, after it was cancelled: %w", err)
	}
	return next, checkRecord(ctx, s.other(), id, next)
}

func outage(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	s.Break()
	for what, err := range everyCall(ctx, s, rec, s.record(rec.Revision, "two")) {
		if err == nil {
			return fmt.Errorf("%s succeeded although the engine is unreachable", what)
		}
		if name := sentinel(err); name != "" {
			return fmt.Errorf("%s returned %q although the engine is unreachable", what, name)
		}
	}
	return nil
}
