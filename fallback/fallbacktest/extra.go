package fallbacktest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

var extraCases = []testCase{
	{name: "Counter", run: counting, needs: needsCounter, why: "Len counts all records except expired ones"},
	{name: "Clearer", run: clearing, needs: needsClearer, why: "after Clear the store is empty and usable"},
	{name: "Checker", run: checking, needs: needsChecker, why: "Check changes no record, and distinguishes an outage from a wrong setting"},
	{name: "Sweeper", run: sweeping, needs: needsSweeper, why: "Sweep removes expired records only, and at most limit"},
}

func needsCounter(s Setup) string {
	counter, ok := s.Store.(fallback.Counter)
	if !ok {
		return "the store is no Counter"
	}
	if _, err := counter.Len(context.Background()); errors.Is(err, errors.ErrUnsupported) {
		return "the store cannot list its records"
	}
	return ""
}

func needsClearer(s Setup) string {
	clearer, ok := s.Store.(fallback.Clearer)
	if !ok {
		return "the store is no Clearer"
	}
	if err := clearer.Clear(context.Background()); errors.Is(err, errors.ErrUnsupported) {
		return "the store cannot list its records"
	}
	return ""
}

func needsChecker(s Setup) string {
	if _, ok := s.Store.(fallback.Checker); !ok {
		return "the store is no Checker"
	}
	return ""
}

func checking(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	checker := s.Store.(fallback.Checker)
	var findings *fallback.CheckError
	if err := checker.Check(ctx); err != nil && !errors.As(err, &findings) {
		return fmt.Errorf("a Check: %w", err)
	}
	if err := first(
		func() error { return checkRecord(ctx, s.other(), id, rec) },
		func() error { return counts(ctx, s, 1, "after a Check") },
	); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	return checkError(checker.Check(ended), context.Canceled, "Check with a context that has ended")
}

func needsSweeper(s Setup) string {
	if _, ok := s.Store.(fallback.Sweeper); !ok {
		return "the store is no Sweeper"
	}
	return ""
}

// saveMixed saves n records with a long lifetime and n with a short one.
func saveMixed(ctx context.Context, s Setup, n int) error {
	for i := range n {
		rec := s.record(fallback.Revision{}, "live")
		rec.Expires = s.now().Add(4 * s.life())
		if err := s.Store.Save(ctx, "live "+strconv.Itoa(i), fallback.Revision{}, rec); err != nil {
			return err
		}
		if _, err := s.create(ctx, "dead "+strconv.Itoa(i), "dead"); err != nil {
			return err
		}
	}
	return nil
}

func counts(ctx context.Context, s Setup, want int, when string) error {
	counter, ok := s.Store.(fallback.Counter)
	if !ok {
		return nil
	}
	got, err := counter.Len(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil && got != want {
		err = fmt.Errorf("a Len is %d %s, want %d", got, when, want)
	}
	return err
}

func counting(ctx context.Context, s Setup) error {
	return first(
		func() error { return counts(ctx, s, 0, "at first") },
		func() error { return saveMixed(ctx, s, 20) },
		func() error { return counts(ctx, s, 40, "after 40 new records") },
		func() error { s.wait(s.life() + time.Millisecond); return nil },
		func() error { return counts(ctx, s, 20, "after half of them have expired") },
		func() error { return s.Store.Delete(ctx, "live 0") },
		func() error { return counts(ctx, s, 19, "after one was deleted") },
	)
}

func clearing(ctx context.Context, s Setup) error {
	if err := saveMixed(ctx, s, 20); err != nil {
		return err
	}
	if err := s.Store.(fallback.Clearer).Clear(ctx); err != nil {
		return fmt.Errorf("a Clear: %w", err)
	}
	for i := range 20 {
		if err := checkAbsent(ctx, s.other(), "live "+strconv.Itoa(i)); err != nil {
			return fmt.Errorf("after Clear: %w", err)
		}
	}
	if err := counts(ctx, s, 0, "after Clear"); err != nil {
		return err
	}
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return fmt.Errorf("after Clear: %w", err)
	}
	return checkRecord(ctx, s.other(), id, rec)
}

func sweeping(ctx context.Context, s Setup) error {
	if s.Advance == nil {
		return nil // the test would have to wait for a minute
	}
	if err := saveMixed(ctx, s, 20); err != nil {
		return err
	}
	s.wait(2 * s.life())
	total := 0
	for _, limit := range []int{-1, 0, 1, 7, 100, 100} {
		n, err := s.Store.(fallback.Sweeper).Sweep(ctx, limit)
		if err != nil {
			return fmt.Errorf("Sweep(%d): %w", limit, err)
		}
		if n > max(0, limit) || n == 0 && limit > 0 && total == 0 {
			return fmt.Errorf("Sweep(%d) removed %d, with 20 to remove", limit, n)
		}
		total += n
	}
	if total != 20 {
		return fmt.Errorf("a Sweep removed %d in all, want the 20 that had expired", total)
	}
	return counts(ctx, s, 20, "after Sweep")
}
