package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
)

func record(size int, expires time.Time) fallback.Record {
	return fallback.Record{Revision: fallback.Revision{}.Next(), Data: make([]byte, size), Expires: expires}
}

// fill saves n records of 10,000 bytes, in order.
func fill(t *testing.T, m *fallback.Memory, n int, expires time.Time) {
	t.Helper()
	for i := range n {
		require.NoError(t, m.Save(t.Context(), strconv.Itoa(i), fallback.Revision{}, record(10_000, expires)))
	}
}

func standing(t *testing.T, m *fallback.Memory, n int) (ids []int) {
	t.Helper()
	for i := range n {
		if _, err := m.Load(t.Context(), strconv.Itoa(i)); err == nil {
			ids = append(ids, i)
		}
	}
	return ids
}

func TestMemoryDropsTheLeastRecentlyUsed(t *testing.T) {
	clock := fallbacktest.NewClock()
	var dropped []fallback.Eviction
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 105_000, OnEvict: func(e fallback.Eviction) {
		dropped = append(dropped, e)
	}})
	expires := clock.Now().Add(time.Hour)
	fill(t, m, 10, expires)
	require.Empty(t, dropped)

	_, err := m.Load(t.Context(), "0") // used
	require.NoError(t, err)
	require.NoError(t, m.Touch(t.Context(), "1", expires)) // used
	require.NoError(t, m.Save(t.Context(), "new", fallback.Revision{}, record(25_000, expires)))

	require.Len(t, dropped, 3)
	for i, e := range dropped {
		require.Equal(t, strconv.Itoa(i+2), e.ID)
		require.Equal(t, 10_000, e.Bytes)
		require.Equal(t, expires.UnixMilli(), e.Expires.UnixMilli())
	}
	require.Equal(t, []int{0, 1, 5, 6, 7, 8, 9}, standing(t, m, 10))
	require.Equal(t, int64(3), m.Evicted())
}

func TestMemoryDropsTheExpiredFirst(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 105_000, OnEvict: func(e fallback.Eviction) {
		t.Errorf("dropped %s, which lives", e.ID)
	}})
	fill(t, m, 5, clock.Now().Add(time.Hour))
	for i := 5; i < 10; i++ {
		require.NoError(t, m.Save(t.Context(), strconv.Itoa(i), fallback.Revision{}, record(10_000, clock.Now().Add(time.Minute))))
	}
	clock.Advance(time.Minute)
	require.NoError(t, m.Save(t.Context(), "new", fallback.Revision{}, record(50_000, clock.Now().Add(time.Hour))))
	require.Equal(t, []int{0, 1, 2, 3, 4}, standing(t, m, 10))
}

// kindOf saves a record of the given kind.
func kindOf(m *fallback.Memory, id string, k fallback.Kind, size int, expires time.Time) error {
	rec := record(size, expires)
	rec.Kind = k
	return m.Save(context.Background(), id, fallback.Revision{}, rec)
}

// flood saves n records of a kind, or fewer if the store is full.
func flood(t *testing.T, m *fallback.Memory, k fallback.Kind, n int, expires time.Time) (saved int, err error) {
	t.Helper()
	for i := range n {
		if err = kindOf(m, fmt.Sprintf("%s %d", k, i), k, 1000, expires); err != nil {
			require.ErrorIs(t, err, fallback.ErrFull)
			return i, err
		}
	}
	return n, nil
}

var allKinds = []fallback.Kind{fallback.KindSession, fallback.KindEnd, fallback.KindLogin, fallback.KindLoginEnd, fallback.KindRevocation}

// Visitors without a login can fill the store. They evict no login and no
// marker of an ended session, and leave space for both.
func TestFloodOfAnonymousRecordsForgetsNothing(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 1 << 20, OnEvict: func(e fallback.Eviction) {
		require.Equal(t, fallback.KindSession, e.Kind)
	}})
	expires := clock.Now().Add(time.Hour)
	for _, k := range allKinds {
		require.NoError(t, kindOf(m, "before "+k.String(), k, 1000, expires))
	}
	ends, err := flood(t, m, fallback.KindEnd, 5000, expires)
	require.ErrorContains(t, err, "MaxBytes", "a record without space is an error")
	require.Less(t, ends, 110, "an eighth of the store")
	saved, err := flood(t, m, fallback.KindSession, 5000, expires)
	require.NoError(t, err)
	require.Equal(t, 5000, saved, "sessions evict each other")
	require.Positive(t, m.Evicted())
	for _, k := range allKinds[1:] {
		_, err := m.Load(t.Context(), "before "+k.String())
		require.NoError(t, err, k)
	}
	for _, k := range allKinds[2:] {
		require.NoError(t, kindOf(m, "after "+k.String(), k, 1000, expires), k)
	}
	require.ErrorIs(t, kindOf(m, "one more end", fallback.KindEnd, 1000, expires), fallback.ErrFull)

	clock.Advance(time.Hour)
	require.NoError(t, kindOf(m, "one more end", fallback.KindEnd, 1000, clock.Now().Add(time.Hour)), "the others have expired")
}

// Users can log in and out as often as they like. A quarter of the space stays
// available for sessions, and revocations have their own space.
func TestFloodOfLoginsLeavesRoom(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 1 << 20})
	expires := clock.Now().Add(time.Hour)
	for _, k := range []fallback.Kind{fallback.KindLogin, fallback.KindLoginEnd, fallback.KindEnd, fallback.KindRevocation} {
		_, _ = flood(t, m, k, 5000, expires)
	}
	for _, k := range allKinds[1:] {
		if k != fallback.KindLogin {
			require.LessOrEqual(t, m.BytesOf(k), int64(1<<19), k)
		}
	}
	require.GreaterOrEqual(t, m.BytesOf(fallback.KindLogin), int64(1<<18-2000), "a quarter")
	require.NoError(t, kindOf(m, "a login", fallback.KindLogin, 1000, expires))
	require.ErrorIs(t, kindOf(m, "anonymous", fallback.KindSession, 1000, expires), fallback.ErrFull,
		"an anonymous session evicts no login")
}

// Anonymous sessions are evicted first, then the least recently used logins.
func TestLoginsOutliveSessions(t *testing.T) {
	clock := fallbacktest.NewClock()
	var dropped []string
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 105_000, OnEvict: func(e fallback.Eviction) {
		dropped = append(dropped, e.ID)
	}})
	expires := clock.Now().Add(time.Hour)
	for i := range 10 {
		k := []fallback.Kind{fallback.KindLogin, fallback.KindSession}[i%2]
		require.NoError(t, kindOf(m, strconv.Itoa(i), k, 10_000, expires))
	}
	for i := range 7 {
		require.NoError(t, kindOf(m, "new "+strconv.Itoa(i), fallback.KindLogin, 10_000, expires))
	}
	require.Equal(t, []string{"1", "3", "5", "7", "9", "0", "2"}, dropped)
}

// A row that changes its kind is counted under the new kind.
func TestMemoryChangesKinds(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 1 << 20})
	old := fallback.Revision{}
	for range 3 {
		for _, k := range allKinds {
			rec := record(1000, clock.Now().Add(time.Hour))
			rec.Revision, rec.Kind = old.Next(), k
			require.NoError(t, m.Save(t.Context(), "id", old, rec))
			old = rec.Revision
			for _, other := range allKinds {
				require.Equal(t, other == k, m.BytesOf(other) != 0, "%s while it is %s", other, k)
			}
			require.Equal(t, m.Bytes(), m.BytesOf(k))
		}
	}
	require.NoError(t, m.Delete(t.Context(), "id"))
	require.Zero(t, m.Bytes())
	require.Zero(t, m.BytesOf(fallback.KindRevocation))
	require.Zero(t, m.BytesOf(99))
}

func TestKindsAreChecked(t *testing.T) {
	m := newMemory(t, fallback.MemoryConfig{})
	require.ErrorContains(t, kindOf(m, "id", 99, 1, time.Now().Add(time.Hour)), "no kind of record 99")
	require.Equal(t, "Kind(99)", fallback.Kind(99).String())
}

func TestMemoryReplacesARecordInItsOwnRoom(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 100_000})
	rec := record(90_000, clock.Now().Add(time.Hour))
	require.NoError(t, m.Save(t.Context(), "a", fallback.Revision{}, rec))
	for range 10 {
		next := record(95_000, rec.Expires)
		require.NoError(t, m.Save(t.Context(), "a", rec.Revision, next))
		rec = next
	}
	require.Zero(t, m.Evicted())
	require.ErrorIs(t, m.Save(t.Context(), "a", rec.Revision, record(100_000, rec.Expires)), fallback.ErrFull)
	got, err := m.Load(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision, "a record that does not fit leaves the old one unchanged")
}

// A conflicting Save must not evict records, because an attacker could send it
// for free.
func TestMemoryConflictsDropNobody(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 105_000})
	fill(t, m, 10, clock.Now().Add(time.Hour))
	for range 20 {
		wrong := record(90_000, clock.Now().Add(time.Hour))
		require.ErrorIs(t, m.Save(t.Context(), "0", wrong.Revision.Next(), wrong), fallback.ErrConflict)
	}
	require.Len(t, standing(t, m, 10), 10)
}

// A record that is larger than the store evicts no other in vain.
func TestRecordThatNeverFitsDropsNobody(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: 105_000})
	fill(t, m, 10, clock.Now().Add(time.Hour))
	require.ErrorIs(t, m.Save(t.Context(), "new", fallback.Revision{}, record(105_000, clock.Now().Add(time.Hour))), fallback.ErrFull)
	require.Len(t, standing(t, m, 10), 10)
	require.Zero(t, m.Evicted())
}

// A record that was touched does not hide others that expire before it.
func TestSweepFindsWhatExpiresBesideTouchedRecords(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now})
	began := clock.Now()
	for i := range 500 { // several for each shard, in the order of their expiry
		require.NoError(t, m.Save(t.Context(), strconv.Itoa(i), fallback.Revision{}, record(10, began.Add(time.Hour+time.Duration(i)*time.Second))))
	}
	for i := 0; i < 500; i += 2 {
		require.NoError(t, m.Touch(t.Context(), strconv.Itoa(i), began.Add(3*time.Hour)))
	}
	clock.Advance(2 * time.Hour)
	n, err := m.Sweep(t.Context(), 500)
	require.NoError(t, err)
	require.Equal(t, 250, n)
}

func TestMemoryCountsItsBytes(t *testing.T) {
	clock := fallbacktest.NewClock()
	m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now})
	fill(t, m, 10, clock.Now().Add(time.Hour))
	full := m.Bytes()
	require.Greater(t, full, int64(100_000))
	for range 3 {
		require.NoError(t, m.Delete(t.Context(), "3"))
	}
	require.Equal(t, full/10*9, m.Bytes())
	clock.Advance(time.Hour)
	n, err := m.Sweep(t.Context(), 4)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Equal(t, full/10*5, m.Bytes())
	require.NoError(t, m.Clear(t.Context()))
	require.Zero(t, m.Bytes())
}

// The limit holds and the count is right under concurrent calls.
func TestMemoryUnderLoad(t *testing.T) {
	const bound = 300_000
	m := newMemory(t, fallback.MemoryConfig{MaxBytes: bound})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 2000 {
				if !anyCall(m, random) {
					t.Error("a call returned an unexpected error")
				}
				if used := m.Bytes(); used > bound || used < 0 {
					t.Errorf("%d bytes are taken, of %d", used, bound)
				}
			}
		})
	}
	group.Wait()
	require.Positive(t, m.Evicted())
	for i := range 50 {
		require.NoError(t, m.Delete(t.Context(), strconv.Itoa(i)))
	}
	require.Zero(t, m.Bytes(), "an empty store counts no bytes")
	for _, k := range allKinds {
		require.Zero(t, m.BytesOf(k), k)
	}
}

func anyCall(m *fallback.Memory, random *rand.Rand) bool {
	ctx, id := context.Background(), strconv.Itoa(random.IntN(50))
	expires := time.Now().Add(time.Duration(random.IntN(20)-2) * time.Millisecond)
	var err error
	switch random.IntN(5) {
	case 0:
		err = m.Delete(ctx, id)
	case 1:
		err = m.Touch(ctx, id, expires)
	case 2:
		_, err = m.Sweep(ctx, 2)
	default:
		rec, _ := m.Load(ctx, id)
		next := record(random.IntN(20_000), expires)
		next.Kind = allKinds[random.IntN(len(allKinds))]
		err = m.Save(ctx, id, rec.Revision, next)
	}
	return err == nil || errors.Is(err, fallback.ErrNotFound) || errors.Is(err, fallback.ErrConflict) || errors.Is(err, fallback.ErrFull)
}

// MaxBytes is meaningful only if a row uses about as many bytes as are
// counted.
func TestMemoryCostsWhatItCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the heap")
	}
	m := newMemory(t, fallback.MemoryConfig{})
	const n = 50_000
	before := heap()
	for i := range n {
		rec := record(32, time.Now().Add(time.Hour))
		require.NoError(t, m.Save(t.Context(), fmt.Sprintf("%043d", i), fallback.Revision{}, rec))
	}
	cost := float64(heap()-before) / float64(m.Bytes())
	t.Logf("a row takes %.0f bytes beside its data, %.2f of the counted size", float64(heap()-before)/n-75, cost)
	require.Less(t, cost, 1.3)
	require.Greater(t, cost, 0.5)
	runtime.KeepAlive(m)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestMemoryHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		m := newMemory(t, fallback.MemoryConfig{MaxBytes: 50_000})
		fill(t, m, 10, time.Now().Add(time.Hour))
	})
}

func TestNewMemoryRefusesANegativeBound(t *testing.T) {
	_, err := fallback.NewMemory(fallback.MemoryConfig{MaxBytes: -1})
	require.ErrorContains(t, err, "MaxBytes")
}

func TestRevisionsDiffer(t *testing.T) {
	r := fallback.Revision{}
	require.True(t, r.IsZero())
	a, b := r.Next(), r.Next()
	require.False(t, a.IsZero())
	require.Equal(t, uint64(1), a.Number)
	require.Equal(t, a.Number, b.Number)
	require.NotEqual(t, a.Tag, b.Tag)
	require.Equal(t, uint64(2), a.Next().Number)

	var drawn [16]byte // every byte of a tag is random
	for range 64 {
		next := r.Next()
		for i, b := range next.Tag {
			drawn[i] |= b
		}
	}
	require.NotContains(t, drawn[:], byte(0))
}

func ExampleNewMemory() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{
		MaxBytes: 256 << 20,
		OnEvict:  func(e fallback.Eviction) { fmt.Println("dropped a session of", e.Bytes, "bytes") },
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	first := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte("sealed"), Expires: time.Now().Add(time.Hour)}
	fmt.Println(store.Save(ctx, "id", fallback.Revision{}, first))
	other := first
	other.Revision = fallback.Revision{}.Next()
	fmt.Println(store.Save(ctx, "id", fallback.Revision{}, other))
	// Output:
	// <nil>
	// fallback: the record has changed; load it again
}

func BenchmarkMemory(b *testing.B) {
	m := newMemory(b, fallback.MemoryConfig{MaxBytes: 64 << 20})
	ctx, rec := b.Context(), record(10_000, time.Now().Add(time.Hour))
	require.NoError(b, m.Save(ctx, "id", fallback.Revision{}, rec))
	b.Run("Load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = m.Load(ctx, "id")
		}
	})
	b.Run("Save", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			old := rec.Revision
			rec.Revision = old.Next()
			_ = m.Save(ctx, "id", old, rec)
		}
	})
	b.Run("Save of a full store", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_ = m.Save(ctx, strconv.Itoa(i), fallback.Revision{}, rec)
		}
	})
}
