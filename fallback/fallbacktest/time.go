package fallbacktest

import (
	"context"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

var timeCases = []testCase{
	{name: "expiry", run: expiry,
		why: "engines remove expired records late, so the store must check expiry on every read"},
	{name: "expired is never revived", run: neverRevived,
		why: "an ended session must stay ended, even if a write or a touch arrives late"},
	{name: "expired may be created again", run: createOverExpired,
		why: "an expired record does not exist, even if the engine has not removed it"},
	{name: "expired on arrival", run: expiredOnArrival,
		why: "a slow request may save a session that has ended meanwhile"},
	{name: "save moves the expiry", run: saveMovesExpiry,
		why: "Save must set the new expiry, whether earlier or later"},
	{name: "touch", run: touch,
		why: "a reading visitor must stay logged in, and must not make a writer's revision stale"},
	{name: "touch with the same expiry", run: touchSame,
		why: "MySQL reports an unchanged row as not updated, although it exists"},
	{name: "clock error", run: clockError, needs: needsSkewed,
		why: "a replica with a fast clock must not remove records that others still use"},
}

func needsSkewed(s Setup) string {
	if s.Skewed == nil {
		return "Setup.Skewed is nil: clock error is not tested"
	}
	return ""
}

func expiry(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	if s.Advance != nil { // real time cannot be stopped before the expiry
		s.wait(s.life() - 2*time.Millisecond)
		if err := checkRecord(ctx, s.other(), id, rec); err != nil {
			return fmt.Errorf("2 ms before its expiry: %w", err)
		}
		s.wait(2 * time.Millisecond)
	} else {
		s.wait(s.life() + time.Millisecond)
	}
	if err := checkAbsent(ctx, s.Store, id); err != nil {
		return fmt.Errorf("after its expiry: %w", err)
	}
	return checkAbsent(ctx, s.other(), id)
}

func neverRevived(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	s.wait(s.life() + time.Millisecond)
	next := s.record(rec.Revision, "two")
	return first(
		func() error {
			return checkError(s.Store.Touch(ctx, id, next.Expires), fallback.ErrNotFound, "Touch of an expired record")
		},
		func() error {
			return checkError(s.other().Save(ctx, id, rec.Revision, next), fallback.ErrConflict, "Save over an expired record")
		},
		func() error { return checkAbsent(ctx, s.Store, id) },
		func() error { return s.Store.Delete(ctx, id) },
		func() error {
			return checkError(s.Store.Save(ctx, id, rec.Revision, next), fallback.ErrConflict, "Save over a deleted record")
		},
		func() error { return checkAbsent(ctx, s.other(), id) },
	)
}

func createOverExpired(ctx context.Context, s Setup) error {
	if _, err := s.create(ctx, id, "one"); err != nil {
		return err
	}
	s.wait(s.life() + time.Millisecond)
	rec, err := s.create(ctx, id, "two")
	if err != nil {
		return fmt.Errorf("over an expired record: %w", err)
	}
	if err := checkRecord(ctx, s.other(), id, rec); err != nil {
		return err
	}
	again := s.record(fallback.Revision{}, "three")
	return checkError(s.Store.Save(ctx, id, fallback.Revision{}, again), fallback.ErrConflict, "Save of a second new record")
}

func expiredOnArrival(ctx context.Context, s Setup) error {
	old := s.record(fallback.Revision{}, "late")
	old.Expires = s.now().Add(-time.Second)
	if err := s.Store.Save(ctx, id, fallback.Revision{}, old); err != nil {
		return fmt.Errorf("a Save of a record that expired a second ago: %w", err)
	}
	if err := checkAbsent(ctx, s.other(), id); err != nil {
		return err
	}
	rec, err := s.create(ctx, id, "new")
	if err != nil {
		return fmt.Errorf("after a record that had expired when it was saved: %w", err)
	}
	next := s.record(rec.Revision, "ended")
	next.Expires = s.now().Add(-time.Hour)
	if err := s.Store.Save(ctx, id, rec.Revision, next); err != nil {
		return fmt.Errorf("a Save that ends a record an hour ago: %w", err)
	}
	return checkAbsent(ctx, s.Store, id)
}

func saveMovesExpiry(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	later := s.record(rec.Revision, "later")
	later.Expires = s.now().Add(3 * s.life())
	if err := s.Store.Save(ctx, id, rec.Revision, later); err != nil {
		return err
	}
	s.wait(s.life() + s.life()/2)
	if err := checkRecord(ctx, s.other(), id, later); err != nil {
		return fmt.Errorf("after a Save that set a later expiry: %w", err)
	}
	sooner := s.record(later.Revision, "sooner")
	sooner.Expires = s.now().Add(s.life() / 2)
	if err := s.Store.Save(ctx, id, later.Revision, sooner); err != nil {
		return err
	}
	s.wait(s.life()/2 + time.Millisecond)
	if err := checkAbsent(ctx, s.other(), id); err != nil {
		return fmt.Errorf("after a Save that set an earlier expiry: %w", err)
	}
	return nil
}

func touch(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	rec.Expires = s.now().Add(3 * s.life())
	if err := s.other().Touch(ctx, id, rec.Expires); err != nil {
		return fmt.Errorf("a Touch: %w", err)
	}
	s.wait(s.life() + s.life()/2)
	if err := checkRecord(ctx, s.Store, id, rec); err != nil {
		return fmt.Errorf("after a Touch: %w", err)
	}
	next := s.record(rec.Revision, "two")
	if err := s.Store.Save(ctx, id, rec.Revision, next); err != nil {
		return fmt.Errorf("a Save after a Touch, at the revision from before the Touch: %w", err)
	}
	next.Expires = s.now().Add(s.life() / 4)
	if err := s.Store.Touch(ctx, id, next.Expires); err != nil {
		return fmt.Errorf("a Touch to an earlier time: %w", err)
	}
	s.wait(s.life()/4 + time.Millisecond)
	return checkAbsent(ctx, s.other(), id)
}

func touchSame(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	for range 3 {
		if err := s.Store.Touch(ctx, id, rec.Expires); err != nil {
			return fmt.Errorf("a Touch that changes nothing: %w", err)
		}
	}
	return checkRecord(ctx, s.other(), id, rec)
}

func clockError(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	const ahead = 5 * time.Second
	fast := s.Skewed(ahead)
	s.wait(s.life() - ahead/2)
	if err := checkAbsent(ctx, fast, id); err != nil {
		return fmt.Errorf("on the replica with the fast clock: %w", err)
	}
	if sweeper, ok := fast.(fallback.Sweeper); ok {
		if _, err := sweeper.Sweep(ctx, 100); err != nil {
			return fmt.Errorf("a Sweep: %w", err)
		}
	}
	next := s.record(rec.Revision, "two")
	return first(
		func() error {
			return checkError(fast.Save(ctx, id, rec.Revision, next), fallback.ErrConflict, "Save on the replica where the record has expired")
		},
		func() error { return checkRecord(ctx, s.Store, id, rec) },
		func() error { return s.Store.Save(ctx, id, rec.Revision, next) },
		func() error { return checkRecord(ctx, fast, id, next) },
	)
}
