package keyring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// unknownID returns the id of a key that no ring has.
func unknownID(n int) (id ID) {
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id
}

func TestResolveFindsANewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		second := v.put(t)
		id := second.Keys()[0].ID()
		ring, verdict := keys.Resolve(t.Context(), id)
		require.Equal(t, Known, verdict)
		key, state := ring.Find(id, day)
		require.Equal(t, Active, state)
		require.Equal(t, id, key.ID())
		require.Equal(t, 2, v.count())

		for _, ids := range [][]ID{{id}, {}} {
			same, verdict := keys.Resolve(t.Context(), ids...)
			require.Same(t, ring, same)
			require.Equal(t, Known, verdict)
		}
		time.Sleep(time.Hour)
		_, verdict = keys.Resolve(t.Context(), id)
		require.Equal(t, Known, verdict)
		require.Equal(t, 2, v.count(), "a known id causes no read")

		_, verdict = keys.Resolve(t.Context(), id, unknownID(1))
		require.Equal(t, Foreign, verdict, "one unknown id is enough")
		require.Equal(t, 3, v.count())
	})
}

// A dead key is known: its cookie is not taken for one of a future key.
func TestResolveKnowsDeadKeys(t *testing.T) {
	v := new(secretManager)
	ring := v.put(t)
	id := ring.Keys()[0].ID()
	revoked, _, err := ring.Revoke(id, day)
	require.NoError(t, err)
	v.text = mustMarshal(t, revoked)
	keys, err := Open(t.Context(), Func(v.fetch), quiet)
	require.NoError(t, err)
	_, verdict := keys.Resolve(t.Context(), id)
	require.Equal(t, Known, verdict)
	require.Equal(t, 1, v.count())
}

// One forgotten cookie, sent with every request of a browser, causes one read.
func TestResolveOfOneIDReadsOnce(t *testing.T) {
	minutes := func(t *testing.T, n int, opts ...Option) int {
		v, keys := openVault(t, opts...)
		for range n * 60 {
			keys.Ring(t.Context())
			_, verdict := keys.Resolve(t.Context(), unknownID(1))
			require.Equal(t, Foreign, verdict)
			time.Sleep(time.Second)
		}
		return v.count()
	}
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, 1+1+9, minutes(t, 10), "at Open, for the id, and once a minute as usual")
	})
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, 1+1+5, minutes(t, 60, ReloadEvery(10*time.Minute)))
	})
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, 1+10, minutes(t, 10, ReloadEvery(-1)), "once a minute if there is no reload interval")
	})
}

// Many made-up ids: reads without a result become rare, and a read with a
// result makes them frequent again.
func TestResolveOfManyIDsBecomesRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		n := 0
		flood := func(d time.Duration) int {
			before := v.count()
			for end := time.Now().Add(d); time.Now().Before(end); n++ {
				_, verdict := keys.Resolve(t.Context(), unknownID(n))
				require.Equal(t, Foreign, verdict, "made-up ids do not disturb other visitors")
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

func TestResolveIsOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		v.set(func() { v.gate = make(chan struct{}) })
		second := v.put(t)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				ring, verdict := keys.Resolve(t.Context(), unknownID(i))
				require.Equal(t, second.Fingerprint(), ring.Fingerprint())
				require.Equal(t, Foreign, verdict)
			})
		}
		synctest.Wait()
		require.Equal(t, 2, v.count())
		close(v.gate)
		wg.Wait()
	})
}

// While the source is down and the last read is no longer recent, an id that
// no read has looked for is undecided.
func TestResolveWhileTheSourceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		_, verdict := keys.Resolve(t.Context(), unknownID(1))
		require.Equal(t, Foreign, verdict)

		v.set(func() { v.err = errors.New("down") })
		time.Sleep(time.Minute)
		_, verdict = keys.Resolve(t.Context(), unknownID(2))
		require.Equal(t, Foreign, verdict, "the last read is still recent")
		time.Sleep(time.Nanosecond)
		_, verdict = keys.Resolve(t.Context(), unknownID(2))
		require.Equal(t, Undecided, verdict)
		_, verdict = keys.Resolve(t.Context(), unknownID(1), unknownID(2))
		require.Equal(t, Undecided, verdict)
		_, verdict = keys.Resolve(t.Context(), unknownID(1))
		require.Equal(t, Foreign, verdict, "a read after the cookie was sealed did not find it")

		v.set(func() { v.err = nil })
		second := v.put(t)
		time.Sleep(4 * time.Second)
		ring, verdict := keys.Resolve(t.Context(), unknownID(2))
		require.Equal(t, second.Fingerprint(), ring.Fingerprint())
		require.Equal(t, Foreign, verdict)
	})
}

// A key that is missing at first arrives with a later read.
func TestResolveForgetsWithEachNewRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		_, verdict := keys.Resolve(t.Context(), unknownID(1))
		require.Equal(t, Foreign, verdict)
		v.put(t)
		time.Sleep(time.Minute)
		keys.Ring(t.Context())
		require.Empty(t, keys.extra.absent)
		v.set(func() { v.err = errors.New("down") })
		time.Sleep(time.Hour)
		_, verdict = keys.Resolve(t.Context(), unknownID(1))
		require.Equal(t, Undecided, verdict, "an earlier version of the new ring may have had it")
	})
}

// A refused ring does not count as a read.
func TestResolveWhileTheRingIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		v.set(func() { v.text = []byte("{}") })
		time.Sleep(time.Hour)
		_, verdict := keys.Resolve(t.Context(), unknownID(1))
		require.Equal(t, Undecided, verdict)
	})
}

// A call that the limits deny a read gets the result of the last read.
func TestResolveBetweenTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		for i := range 100 {
			_, verdict := keys.Resolve(t.Context(), unknownID(i))
			require.Equal(t, Foreign, verdict)
		}
		require.Equal(t, 2, v.count())
		v.set(func() { v.err = errors.New("down") })
		time.Sleep(time.Hour)
		for i := range 100 {
			_, verdict := keys.Resolve(t.Context(), unknownID(100+i))
			require.Equal(t, Undecided, verdict)
		}
		require.Equal(t, 3, v.count())
	})
}

// A call that waits for another caller's read can end early, with the verdict
// undecided.
func TestResolveHeedsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t, ReloadTimeout(time.Hour))
		gate := make(chan struct{})
		v.set(func() { v.gate = gate })
		time.Sleep(time.Hour)
		done := make(chan struct{})
		go func() { keys.Resolve(t.Context(), unknownID(1)); close(done) }()
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, verdict := keys.Resolve(impatient, unknownID(1))
		require.Equal(t, Undecided, verdict)
		require.Equal(t, time.Second, time.Since(start))
		close(gate)
		<-done
	})
}

// A clock that is set back does not make an old read recent.
func TestResolveAndAClockThatIsSetBack(t *testing.T) {
	now := day
	v, keys := openVault(t, Clock(func() time.Time { return now }))
	now = day.Add(-time.Hour)
	v.set(func() { v.err = errors.New("down") })
	_, verdict := keys.Resolve(t.Context(), unknownID(1))
	require.Equal(t, Undecided, verdict)
	require.Equal(t, 2, v.count())
}

func TestAbsentIDsAreBounded(t *testing.T) {
	_, keys := openVault(t)
	for i := range 3 * maxAbsent {
		keys.remember([]ID{unknownID(i)})
		require.Contains(t, keys.extra.absent, unknownID(i), "the newest is kept")
	}
	require.Len(t, keys.extra.absent, maxAbsent)
	keys.remember([]ID{keys.ring.Load().Keys()[0].ID()})
	require.NotContains(t, keys.extra.absent, keys.ring.Load().Keys()[0].ID())
}

func TestResolveWithoutASource(t *testing.T) {
	keys := Ephemeral()
	ring, verdict := keys.Resolve(context.Background(), unknownID(1))
	require.Same(t, keys.Ring(context.Background()), ring)
	require.Equal(t, Known, verdict, "no other process has an ephemeral ring, so an unknown key is dead")

	fixed := mustGenerate(t, day)
	var _ Resolver = fixed
	same, verdict := fixed.Resolve(context.Background(), unknownID(1))
	require.Same(t, fixed, same)
	require.Equal(t, Foreign, verdict)
	_, verdict = fixed.Resolve(context.Background(), fixed.Keys()[0].ID())
	require.Equal(t, Known, verdict)
	_, verdict = (*Ring)(nil).Resolve(context.Background(), unknownID(1))
	require.Equal(t, Foreign, verdict)
}

func TestVerdictNames(t *testing.T) {
	require.Equal(t, "undecided known foreign invalid", fmt.Sprint(Undecided, Known, Foreign, Verdict(3)))
}

// When an older ring returns, the event lists the keys that it lacks.
func TestOlderRingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []ReloadEvent
		v := new(secretManager)
		first := v.put(t)
		now := func() time.Time { return day }
		keys, err := Open(t.Context(), Func(v.fetch), Clock(now), OnReload(func(e ReloadEvent) { events = append(events, e) }))
		require.NoError(t, err)
		second, change, err := first.Rotate(day, Policy{})
		require.NoError(t, err)
		for _, ring := range []*Ring{second, first} {
			v.set(func() { v.text = mustMarshal(t, ring) })
			keys.extra = extraReads{}
			keys.Refresh(t.Context())
		}
		require.Len(t, events, 2)
		require.Empty(t, events[0].Lost, "an added key is no loss")
		require.Equal(t, []ID{change.Added.ID()}, events[1].Lost)
		require.Equal(t, first.Fingerprint(), events[1].Fingerprint, "the older ring is used: it may be intended")

		revoked, _, err := second.Revoke(change.Added.ID(), day)
		require.NoError(t, err)
		require.Empty(t, second.lost(revoked, day), "a key listed as dead was removed on purpose")
		log := captureLog(t)
		logReload(events[1])
		require.Contains(t, log.String(), "the new ring lacks keys that could still open; is it an older ring?")
		require.Contains(t, log.String(), change.Added.ID().String())
	})
}
