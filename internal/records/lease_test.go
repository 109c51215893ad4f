package records

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
)

// deaf is a Listener that ignores all events.
type deaf struct{}

func (deaf) StoreCall(context.Context, Call)                   {}
func (deaf) RecordRefused(context.Context, string, int, error) {}

// leases returns leases of one value at replicas whose clocks differ by a minute.
func leases(t *testing.T, n int) []*lease {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	var all []*lease
	for i := range n {
		skew := time.Duration(i) * time.Minute
		c := &Client{Store: store, Clock: func() time.Time { return time.Now().Add(-skew) }}
		all = append(all, &lease{access: &Access{Client: c, Listener: deaf{}}, id: core.OnceID{1}, time: leaseTime})
	}
	return all
}

// While the holder lives, no other replica takes over, however long the holder needs
// and however much the replicas' clocks differ.
func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := leases(t, 3)
		var calls atomic.Int32
		results := make([]core.Replacement, len(all))
		var wg sync.WaitGroup
		for i, l := range all {
			wg.Go(func() {
				var err error
				results[i], err = l.once(t.Context(), func(context.Context) ([]byte, error) {
					calls.Add(1)
					time.Sleep(25 * time.Second)
					return []byte("new"), nil
				})
				require.NoError(t, err)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, calls.Load())
		alone := 0
		for _, r := range results {
			require.Equal(t, "new", string(r.Value))
			require.NotEqual(t, r.Alone, r.Known)
			if r.Alone {
				alone++
			}
		}
		require.Equal(t, 1, alone)
	})
}

// Another replica takes over from a holder that has died, once it has seen no renewal
// for the lease time, and not earlier.
func TestLeaseOfADeadHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := leases(t, 3)
		_, _, err := all[0].acquire(t.Context())
		require.NoError(t, err)
		began := time.Now()
		var calls atomic.Int32
		var wg sync.WaitGroup
		for _, l := range all[1:] {
			wg.Go(func() {
				r, err := l.once(t.Context(), func(context.Context) ([]byte, error) {
					calls.Add(1)
					return []byte("new"), nil
				})
				require.NoError(t, err)
				require.Equal(t, "new", string(r.Value))
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, calls.Load())
		require.GreaterOrEqual(t, time.Since(began), leaseTime)
	})
}

// A holder that was paused and lost its lease gets the value of the replica that took
// over, and knows that it was not alone.
func TestLeaseLostByAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := leases(t, 2)
		paused, other := all[0], all[1]
		_, _, err := paused.acquire(t.Context())
		require.NoError(t, err)
		_, err = other.once(t.Context(), func(context.Context) ([]byte, error) { return []byte("other"), nil })
		require.NoError(t, err)
		r, err := paused.hold(t.Context(), func(context.Context) ([]byte, error) {
			time.Sleep(leaseTime / 2) // the renewal finds out
			return []byte("mine"), nil
		})
		require.NoError(t, err)
		require.Equal(t, core.Replacement{Value: []byte("other"), Known: true}, r)

		refused := errors.New("refused")
		_, err = paused.hold(t.Context(), func(context.Context) ([]byte, error) { return nil, refused })
		require.ErrorIs(t, err, refused)
		r, err = again(all)[1].once(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, "other", string(r.Value), "a release by a replica without the lease changes nothing")
	})
}

// again returns fresh leases over the same store.
func again(all []*lease) (fresh []*lease) {
	for _, l := range all {
		fresh = append(fresh, &lease{access: l.access, id: l.id, time: l.time})
	}
	return fresh
}

// After a failure the lease is released: the next replica does not wait.
func TestLeaseIsReleasedAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := leases(t, 2)
		failed := errors.New("the provider is down")
		r, err := all[0].once(t.Context(), func(context.Context) ([]byte, error) { return nil, failed })
		require.ErrorIs(t, err, failed)
		require.True(t, r.Alone)
		began := time.Now()
		_, err = all[1].once(t.Context(), func(context.Context) ([]byte, error) { return []byte("new"), nil })
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "no wait")
	})
}

// A row that another program has overwritten does not stop a replacement.
func TestLeaseRowOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leases(t, 1)[0]
		rec := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte("anything"), Expires: time.Now().Add(time.Hour)}
		require.NoError(t, l.access.Client.Store.Save(t.Context(), l.row(), fallback.Revision{}, rec))
		r, err := l.once(t.Context(), func(context.Context) ([]byte, error) { return []byte("new"), nil })
		require.NoError(t, err)
		require.Equal(t, core.Replacement{Value: []byte("new"), Alone: true}, r)
	})
}

// The memory for results is bounded, and the most recent ones stay.
func TestReplacementsAreBounded(t *testing.T) {
	var r replacements
	value := make([]byte, 10_000)
	id := func(i int) core.OnceID { return core.OnceID{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 3000 { // 30 MB
		run, started := r.find(id(i), time.Now(), true)
		require.True(t, started)
		run.result.Value, run.at = value, time.Now()
		r.finish(id(i), run)
	}
	kept := 0
	for i := range 3000 {
		if r.lookupLocked(id(i), time.Now()) != nil {
			kept++
		}
	}
	require.Less(t, kept*len(value), 2*maxReplacements)
	require.Greater(t, kept*len(value), maxReplacements-len(value))
	_, started := r.find(id(2999), time.Now(), true)
	require.False(t, started)
	require.Empty(t, r.running)
}

// A result is kept for ten minutes and a failure for one second, by both of Go's
// clocks.
func TestReplacementsAreForgotten(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		err   error
		after time.Duration
		known bool
	}{
		{nil, 0, true}, {nil, onceKept - 1, true}, {nil, onceKept, false}, {nil, -1, false},
		{errors.New("down"), onceBackoff - 1, true}, {errors.New("down"), onceBackoff, false},
	} {
		var r replacements
		run, _ := r.find(core.OnceID{1}, now, true)
		run.at, run.err = now, c.err
		r.finish(core.OnceID{1}, run)
		_, started := r.find(core.OnceID{1}, now.Add(c.after), true)
		require.Equal(t, c.known, !started, "%v after %v", c.err, c.after)
	}
}
