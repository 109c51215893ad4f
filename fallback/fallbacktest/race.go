package fallbacktest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// writers is the number of concurrent callers. With fewer than 16, a faulty
// store can pass.
const writers = 32

var raceCases = []testCase{
	{name: "race of writers", run: raceWriters, needs: needsSwap,
		why: "of all writers with the same old revision exactly one may win, or writes are lost"},
	{name: "race of creators", run: raceCreators, needs: needsSwap,
		why: "if two tabs move one session into the store, one of them must get a conflict"},
	{name: "race of creators over an expired record", run: raceOverExpired, needs: needsSwap,
		why: "replacing an expired record is also a compare-and-swap"},
	{name: "counter", run: counter, needs: needsSwap,
		why: "a caller that loads, changes and saves until it succeeds must lose no write"},
	{name: "delete against save", run: deleteAgainstSave, needs: needsSwap,
		why: "after a logout there is no record, in either order of arrival"},
	{name: "delete against touch", run: deleteAgainstTouch, needs: needsSwap,
		why: "a touch that reads before a logout and writes after it would undo it"},
	{name: "touch against save", run: touchAgainstSave, needs: needsSwap,
		why: "a touch that writes back the record it has read would undo a write"},
}

func needsSwap(s Setup) string {
	if s.DangerouslyLastWriterWins {
		return "the last writer wins in this store: concurrent writes are lost"
	}
	return ""
}

// concurrently runs n calls at once, half of them on the other replica, and
// returns their errors.
func concurrently(s Setup, n int, call func(store fallback.Store, i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		store := s.Store
		if i%2 == 1 {
			store = s.other()
		}
		group.Go(func() {
			<-start
			errs[i] = call(store, i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// oneWinner runs concurrent saves at the revision old, and checks that exactly
// one wins and is stored.
func oneWinner(ctx context.Context, s Setup, id string, old fallback.Revision) (fallback.Record, error) {
	records := make([]fallback.Record, writers)
	for i := range records {
		records[i] = s.record(old, "writer "+strconv.Itoa(i))
	}
	errs := concurrently(s, writers, func(store fallback.Store, i int) error {
		return store.Save(ctx, id, old, records[i])
	})
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			return fallback.Record{}, fmt.Errorf("writers %d and %d both won number %d", won, i, old.Number+1)
		case err == nil:
			won = i
		case !errors.Is(err, fallback.ErrConflict):
			return fallback.Record{}, fmt.Errorf("a Save that lost: got the error %q, want ErrConflict", err)
		}
	}
	if won < 0 {
		return fallback.Record{}, fmt.Errorf("none of %d writers won number %d", writers, old.Number+1)
	}
	return records[won], checkRecord(ctx, s.Store, id, records[won])
}

func raceWriters(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	for range 20 {
		if err != nil {
			return err
		}
		rec, err = oneWinner(ctx, s, id, rec.Revision)
	}
	return err
}

func raceCreators(ctx context.Context, s Setup) error {
	for i := range 10 {
		if _, err := oneWinner(ctx, s, id+strconv.Itoa(i), fallback.Revision{}); err != nil {
			return err
		}
	}
	return nil
}

func raceOverExpired(ctx context.Context, s Setup) error {
	for i := range 10 {
		if _, err := s.create(ctx, id+strconv.Itoa(i), "old"); err != nil {
			return err
		}
	}
	s.wait(s.life() + time.Millisecond)
	return raceCreators(ctx, s)
}

func counter(ctx context.Context, s Setup) error {
	const each = 5
	rec, err := s.create(ctx, id, "0")
	if err != nil {
		return err
	}
	errs := concurrently(s, writers, func(store fallback.Store, _ int) error {
		for range each {
			if err := increment(ctx, s, store); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	got, err := s.Store.Load(ctx, id)
	if err != nil {
		return err
	}
	if want := strconv.Itoa(writers * each); string(got.Data) != want || got.Revision.Number != rec.Revision.Number+writers*each {
		return fmt.Errorf("%s increments were acknowledged, and the counter is %q at number %d", want, got.Data, got.Revision.Number)
	}
	return nil
}

// increment loads, adds and saves until it wins. Each conflict means that
// another caller has won, so the loop ends.
func increment(ctx context.Context, s Setup, store fallback.Store) error {
	for {
		rec, err := store.Load(ctx, id)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(rec.Data))
		if err != nil {
			return fmt.Errorf("the counter is %q, which is not a written value", rec.Data)
		}
		err = store.Save(ctx, id, rec.Revision, s.record(rec.Revision, strconv.Itoa(n+1)))
		if !errors.Is(err, fallback.ErrConflict) {
			return err
		}
	}
}

const rounds = 40

func deleteAgainstSave(ctx context.Context, s Setup) error {
	for i := range rounds {
		rec, err := s.create(ctx, id, "one")
		if err != nil {
			return err
		}
		next := s.record(rec.Revision, "two")
		errs := concurrently(s, 2, func(store fallback.Store, who int) error {
			if who == i%2 {
				return store.Delete(ctx, id)
			}
			if err := store.Save(ctx, id, rec.Revision, next); !errors.Is(err, fallback.ErrConflict) {
				return err
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if err := checkAbsent(ctx, s.Store, id); err != nil {
			return fmt.Errorf("after a concurrent Delete and Save: %w", err)
		}
	}
	return nil
}

func deleteAgainstTouch(ctx context.Context, s Setup) error {
	for i := range rounds {
		rec, err := s.create(ctx, id, "one")
		if err != nil {
			return err
		}
		errs := concurrently(s, 2, func(store fallback.Store, who int) error {
			if who == i%2 {
				return store.Delete(ctx, id)
			}
			if err := store.Touch(ctx, id, rec.Expires.Add(time.Second)); !errors.Is(err, fallback.ErrNotFound) {
				return err
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if err := checkAbsent(ctx, s.Store, id); err != nil {
			return fmt.Errorf("after a concurrent Delete and Touch: %w", err)
		}
	}
	return nil
}

func touchAgainstSave(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	for i := range rounds {
		next := s.record(rec.Revision, "round "+strconv.Itoa(i))
		next.Expires = rec.Expires // so that both orders give the same result
		errs := concurrently(s, 4, func(store fallback.Store, who int) error {
			if who == i%4 {
				return store.Save(ctx, id, rec.Revision, next)
			}
			return store.Touch(ctx, id, rec.Expires)
		})
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("a Save during touches: %w", err)
		}
		if err := checkRecord(ctx, s.Store, id, next); err != nil {
			return fmt.Errorf("after a Save during touches: %w", err)
		}
		rec = next
	}
	return nil
}
