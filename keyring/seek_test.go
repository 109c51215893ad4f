package keyring

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stranger is the id of a key that no ring has.
func stranger(n int) (id ID) {
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id
}

func seek(t *testing.T, keys *Keys, ids ...ID) *Ring {
	t.Helper()
	return keys.Seek(t.Context(), ids...)
}

func TestSeekFindsANewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		second := v.put(t)
		id := second.Keys()[0].ID()
		ring := seek(t, keys, stranger(1), id)
		key, state := ring.Find(id, day)
		require.Equal(t, Active, state)
		require.Equal(t, id, key.ID())
		require.Equal(t, 2, v.count())

		require.Same(t, ring, seek(t, keys, id))
		require.Same(t, ring, seek(t, keys))
		time.Sleep(time.Hour)
		seek(t, keys, id)
		require.Equal(t, 2, v.count(), "who is known need not be looked for")
	})
}

// One forgotten cookie, on every request of its browser.
func TestSeekOfOneIDIsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t, ReloadEvery(-1))
		for range 10 * 60 {
			seek(t, keys, stranger(1))
			time.Sleep(time.Second)
		}
		require.Equal(t, 1+10, v.count())
	})
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t, ReloadEvery(10*time.Minute))
		for range 10 * 60 {
			seek(t, keys, stranger(1))
			time.Sleep(time.Second)
		}
		require.Equal(t, 1+1, v.count(), "or once in the source's interval, if that is longer")
	})
}

// A flood of ids that somebody makes up: the reads that find nothing become
// rare, a read that finds something makes them frequent again.
func TestSeekOfManyIDsBecomesRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		n := 0
		flood := func(d time.Duration) int {
			before := v.count()
			for end := time.Now().Add(d); time.Now().Before(end); n++ {
				seek(t, keys, stranger(n))
				time.Sleep(100 * time.Millisecond)
			}
			return v.count() - before
		}
		require.Equal(t, 5, flood(time.Minute), "at 0, 2, 6, 14 and 30 s")
		require.LessOrEqual(t, flood(10*time.Minute), 11)
		second := v.put(t)
		for minute := time.Now().Add(time.Minute); keys.ring.Load().Fingerprint() != second.Fingerprint(); {
			require.True(t, time.Now().Before(minute))
			flood(time.Second)
		}
		require.GreaterOrEqual(t, flood(5*time.Second), 2)
		require.LessOrEqual(t, len(keys.extra.absent), maxAbsent)
	})
}

func TestSeekIsOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		v.set(func() { v.gate = make(chan struct{}) })
		second := v.put(t)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				require.Equal(t, second.Fingerprint(), keys.Seek(t.Context(), stranger(i)).Fingerprint())
			})
		}
		synctest.Wait()
		require.Equal(t, 2, v.count())
		close(v.gate)
		wg.Wait()
	})
}

// A source that is down says nothing about an id: it is looked for again.
func TestSeekWhileTheSourceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		v.set(func() { v.err = errors.New("down") })
		seek(t, keys, stranger(1))
		require.Equal(t, 2, v.count())
		v.set(func() { v.err = nil })
		second := v.put(t)
		time.Sleep(2 * time.Second)
		require.Equal(t, second.Fingerprint(), seek(t, keys, stranger(1)).Fingerprint())
	})
}

func TestAbsentIDsAreBounded(t *testing.T) {
	now := day
	_, keys := openVault(t, Clock(func() time.Time { return now }))
	for i := range 3 * maxAbsent {
		keys.remember([]ID{stranger(i)})
	}
	require.Len(t, keys.extra.absent, maxAbsent)
	now = now.Add(absentFor)
	keys.remember([]ID{stranger(-1)})
	require.Len(t, keys.extra.absent, 1, "those whose time is over make room")
}

func TestSeekWithoutASource(t *testing.T) {
	keys := Ephemeral()
	require.Same(t, keys.Ring(context.Background()), keys.Seek(context.Background(), stranger(1)))
}

// An older ring comes back: that is told, with the keys that it lacks.
func TestOlderRingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []ReloadEvent
		v := new(vault)
		first := v.put(t)
		now := func() time.Time { return day }
		keys, err := Open(t.Context(), Func(v.fetch), Clock(now), OnReload(func(e ReloadEvent) { events = append(events, e) }))
		require.NoError(t, err)
		second, change, err := first.Rotate(day, Policy{})
		require.NoError(t, err)
		for _, ring := range []*Ring{second, first} {
			v.set(func() { v.text = mustMarshal(t, ring) })
			keys.extra = extra{}
			keys.Refresh(t.Context())
		}
		require.Len(t, events, 2)
		require.Empty(t, events[0].Lost, "a key more is no loss")
		require.Equal(t, []ID{change.Added.ID()}, events[1].Lost)
		require.Equal(t, first.Fingerprint(), events[1].Fingerprint, "it is used all the same: someone may mean it")

		revoked, _, err := second.Revoke(change.Added.ID(), day)
		require.NoError(t, err)
		require.Empty(t, second.lost(revoked, day), "what is listed as dead was meant")
		log := captureLog(t)
		logReload(events[1])
		require.Contains(t, log.String(), "is it an older ring?")
		require.Contains(t, log.String(), change.Added.ID().String())
	})
}
