package fallbacktest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
)

// wrong is a store with one fault. A nil func keeps the behaviour of Memory.
type wrong struct {
	*fallback.Memory
	load   func(ctx context.Context, id string) (fallback.Record, error)
	save   func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error
	touch  func(ctx context.Context, id string, expires time.Time) error
	delete func(ctx context.Context, id string) error
	check  func(ctx context.Context) error
}

func (w *wrong) Check(ctx context.Context) error {
	if w.check == nil {
		return w.Memory.Check(ctx)
	}
	return w.check(ctx)
}

func (w *wrong) Load(ctx context.Context, id string) (fallback.Record, error) {
	if w.load == nil {
		return w.Memory.Load(ctx, id)
	}
	return w.load(ctx, id)
}

func (w *wrong) Save(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
	if w.save == nil {
		return w.Memory.Save(ctx, id, old, rec)
	}
	return w.save(ctx, id, old, rec)
}

func (w *wrong) Touch(ctx context.Context, id string, expires time.Time) error {
	if w.touch == nil {
		return w.Memory.Touch(ctx, id, expires)
	}
	return w.touch(ctx, id, expires)
}

func (w *wrong) Delete(ctx context.Context, id string) error {
	if w.delete == nil {
		return w.Memory.Delete(ctx, id)
	}
	return w.delete(ctx, id)
}

// faults lists typical faults of engines and drivers, and the case that must
// detect each.
var faults = map[string]struct {
	seenBy string
	make   func(m *fallback.Memory, clock *fallbacktest.Clock) *wrong
}{
	"compares without a lock": {"race of writers", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			got, err := m.Load(ctx, id)
			if err != nil && old.IsZero() || err == nil && (got.Revision == old || got.Revision == rec.Revision) {
				time.Sleep(time.Millisecond) // network delay
				return force(ctx, m, id, rec)
			}
			return fallback.ErrConflict
		}}
	}},
	"creates without a lock": {"race of creators", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			if _, err := m.Load(ctx, id); old.IsZero() && err != nil {
				time.Sleep(time.Millisecond)
				return force(ctx, m, id, rec)
			}
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"compares numbers only": {"save compares the revision", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			if got, err := m.Load(ctx, id); err == nil && got.Revision.Number == old.Number {
				old = got.Revision
			}
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"revives": {"save never revives", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			if _, err := m.Load(ctx, id); errors.Is(err, fallback.ErrNotFound) {
				old = fallback.Revision{}
			}
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"takes a repeated save for a conflict": {"save may be repeated", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			if got, err := m.Load(ctx, id); err == nil && got.Revision == rec.Revision {
				return fallback.ErrConflict
			}
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"touch writes back what it read": {"touch against save", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, touch: func(ctx context.Context, id string, expires time.Time) error {
			rec, err := m.Load(ctx, id)
			if err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
			rec.Expires = expires
			return force(ctx, m, id, rec)
		}}
	}},
	"touch creates": {"missing", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, touch: func(ctx context.Context, id string, expires time.Time) error {
			if m.Touch(ctx, id, expires) != nil {
				return force(ctx, m, id, fallback.Record{Revision: fallback.Revision{}.Next(), Expires: expires})
			}
			return nil
		}}
	}},
	"an unchanged row was not found": {"touch with the same expiry", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, touch: func(ctx context.Context, id string, expires time.Time) error {
			if rec, err := m.Load(ctx, id); err == nil && rec.Expires.UnixMilli() == expires.UnixMilli() {
				return fallback.ErrNotFound
			}
			return m.Touch(ctx, id, expires)
		}}
	}},
	"seconds only": {"round trip", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			rec.Expires = rec.Expires.Truncate(time.Second)
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"drops revocations": {"every kind", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			if rec.Kind == fallback.KindRevocation {
				return nil
			}
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"its Check writes": {"Checker", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, check: func(ctx context.Context) error {
			rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
			return m.Save(ctx, "check", fallback.Revision{}, rec)
		}}
	}},
	"pads ids": {"binary ids", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, save: func(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
			if id == "a " {
				id = "a"
			}
			return m.Save(ctx, id, old, rec)
		}}
	}},
	"ignores its context": {"cancelled context", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m, delete: func(_ context.Context, id string) error {
			return m.Delete(context.Background(), id)
		}}
	}},
	"says not found when it is down": {"outage", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		return &wrong{Memory: m}
	}},
	"keeps what has expired": {"expiry", func(m *fallback.Memory, clock *fallbacktest.Clock) *wrong {
		var mu sync.Mutex
		kept := map[string]fallback.Record{}
		return &wrong{Memory: m, load: func(ctx context.Context, id string) (fallback.Record, error) {
			mu.Lock()
			defer mu.Unlock()
			rec, err := m.Load(ctx, id)
			if old, ok := kept[id]; err != nil && ok && clock.Now().Sub(old.Expires) < time.Minute {
				return old, nil
			}
			kept[id] = rec
			return rec, err
		}}
	}},
	"lends its bytes": {"own slices", func(m *fallback.Memory, _ *fallbacktest.Clock) *wrong {
		lent := map[fallback.Revision][]byte{}
		var mu sync.Mutex
		return &wrong{Memory: m, load: func(ctx context.Context, id string) (fallback.Record, error) {
			rec, err := m.Load(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if lent[rec.Revision] == nil {
				lent[rec.Revision] = rec.Data
			}
			rec.Data = lent[rec.Revision]
			return rec, err
		}}
	}},
}

// force saves a record and ignores the stored revision.
func force(ctx context.Context, m *fallback.Memory, id string, rec fallback.Record) error {
	if err := m.Delete(ctx, id); err != nil {
		return err
	}
	err := m.Save(ctx, id, fallback.Revision{}, rec)
	if errors.Is(err, fallback.ErrConflict) {
		return nil // another call has saved in between
	}
	return err
}

func TestEveryFaultIsSeen(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fallbacktest.Check(t.Context(), func() (fallbacktest.Setup, func(), error) {
				clock := fallbacktest.NewClock()
				m, err := fallback.NewMemory(fallback.MemoryConfig{Clock: clock.Now})
				w := fault.make(m, clock)
				setup := fallbacktest.Setup{Store: w, Now: clock.Now, Advance: clock.Advance}
				if fault.seenBy == "outage" {
					setup.Break = func() { _ = m.Clear(context.Background()) }
				}
				return setup, nil, err
			})
			require.ErrorContains(t, err, fault.seenBy+": ")
		})
	}
}

func TestCheckPassesAGoodStore(t *testing.T) {
	closed := 0
	err := fallbacktest.Check(t.Context(), func() (fallbacktest.Setup, func(), error) {
		clock := fallbacktest.NewClock()
		m, err := fallback.NewMemory(fallback.MemoryConfig{Clock: clock.Now})
		return fallbacktest.Setup{Store: m, Now: clock.Now, Advance: clock.Advance}, func() { closed++ }, err
	})
	require.NoError(t, err)
	require.Positive(t, closed)
}

func TestCheckSaysWhatCannotBeOpened(t *testing.T) {
	err := fallbacktest.Check(t.Context(), func() (fallbacktest.Setup, func(), error) {
		return fallbacktest.Setup{}, nil, errors.New("no engine")
	})
	require.ErrorContains(t, err, "no engine")
}

// Without a clock to advance, the suite sleeps. This test runs in a synctest
// bubble with simulated time.
func TestRunsInRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := fallbacktest.Check(t.Context(), func() (fallbacktest.Setup, func(), error) {
			m, err := fallback.NewMemory(fallback.MemoryConfig{})
			return fallbacktest.Setup{Store: m}, nil, err
		})
		require.NoError(t, err)
		require.Greater(t, time.Since(began), 2*time.Second)
		require.Less(t, time.Since(began), time.Minute)
	})
}

func TestLastWriterWinsLeavesTheRacesOut(t *testing.T) {
	skipped := false
	t.Run("suite", func(t *testing.T) {
		fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
			clock := fallbacktest.NewClock()
			m, err := fallback.NewMemory(fallback.MemoryConfig{Clock: clock.Now})
			require.NoError(t, err)
			t.Cleanup(func() { skipped = skipped || t.Skipped() })
			return fallbacktest.Setup{Store: m, Now: clock.Now, Advance: clock.Advance, DangerouslyLastWriterWins: true}
		})
	})
	require.True(t, skipped)
}
