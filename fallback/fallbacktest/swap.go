package fallbacktest

import (
	"context"
	"fmt"

	"github.com/carryon-go/carryon/fallback"
)

var swapCases = []testCase{
	{name: "create asserts absence", run: createOnce,
		why: "if two tabs move one session into the store, neither may overwrite the other"},
	{name: "save compares the revision", run: compares,
		why: "a writer with an old revision would undo the newest state"},
	{name: "save never revives", run: neverCreates,
		why: "a late write would undo a logout"},
	{name: "save may be repeated", run: repeated,
		why: "a driver repeats a write whose answer was lost; that is no conflict"},
	{name: "records are apart", run: independent,
		why: "a write under one id must not affect another"},
}

func createOnce(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	again := s.record(fallback.Revision{}, "again")
	return first(
		func() error {
			return checkError(s.other().Save(ctx, id, fallback.Revision{}, again), fallback.ErrConflict, "Save of a second new record")
		},
		func() error { return checkRecord(ctx, s.Store, id, rec) },
	)
}

func compares(ctx context.Context, s Setup) error {
	one, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	two := s.record(one.Revision, "two")
	if err := s.Store.Save(ctx, id, one.Revision, two); err != nil {
		return fmt.Errorf("a Save at the current revision: %w", err)
	}
	number, tag := two.Revision, two.Revision
	number.Number++
	tag.Tag[15] ^= 1
	for what, old := range map[string]fallback.Revision{
		"an older revision":             one.Revision,
		"the right tag, another number": number,
		"the right number, another tag": tag,
		"a revision of another record":  fallback.Revision{}.Next(),
	} {
		err := checkError(s.other().Save(ctx, id, old, s.record(two.Revision, "wrong")), fallback.ErrConflict, "Save with "+what)
		if err != nil {
			return err
		}
		if err := checkRecord(ctx, s.Store, id, two); err != nil {
			return fmt.Errorf("after a Save with %s: %w", what, err)
		}
	}
	return nil
}

func neverCreates(ctx context.Context, s Setup) error {
	never := fallback.Revision{}.Next()
	if err := checkError(s.Store.Save(ctx, id, never, s.record(never, "two")), fallback.ErrConflict,
		"Save over a record that never existed"); err != nil {
		return err
	}
	if err := checkAbsent(ctx, s.Store, id); err != nil {
		return err
	}
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	return first(
		func() error { return s.Store.Delete(ctx, id) },
		func() error {
			return checkError(s.other().Save(ctx, id, rec.Revision, s.record(rec.Revision, "two")), fallback.ErrConflict,
				"Save over a deleted record")
		},
		func() error { return checkAbsent(ctx, s.Store, id) },
	)
}

func repeated(ctx context.Context, s Setup) error {
	one, two := s.record(fallback.Revision{}, "one"), fallback.Record{}
	two = s.record(one.Revision, "two")
	for range 2 {
		if err := s.Store.Save(ctx, id, fallback.Revision{}, one); err != nil {
			return fmt.Errorf("a Save of a new record, the same twice: %w", err)
		}
	}
	for range 2 {
		if err := s.other().Save(ctx, id, one.Revision, two); err != nil {
			return fmt.Errorf("a Save of a next revision, the same twice: %w", err)
		}
	}
	return first(
		func() error { return checkRecord(ctx, s.Store, id, two) },
		func() error {
			return checkError(s.Store.Save(ctx, id, fallback.Revision{}, one), fallback.ErrConflict,
				"Save of a new record, repeated after a later one")
		},
		func() error { return checkRecord(ctx, s.Store, id, two) },
	)
}

func independent(ctx context.Context, s Setup) error {
	one, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	const near = id + "x"
	two, err := s.create(ctx, near, "two")
	if err != nil {
		return err
	}
	next := s.record(one.Revision, "three")
	return first(
		func() error {
			return checkError(s.Store.Save(ctx, near, one.Revision, next), fallback.ErrConflict, "Save at another record's revision")
		},
		func() error { return s.Store.Save(ctx, id, one.Revision, next) },
		func() error { return checkRecord(ctx, s.other(), near, two) },
		func() error { return s.Store.Delete(ctx, near) },
		func() error { return checkRecord(ctx, s.other(), id, next) },
	)
}
