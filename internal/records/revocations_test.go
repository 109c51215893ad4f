package records

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
)

const age = 10 * time.Second

var (
	start   = time.Now() // has a wall and a monotonic clock reading
	errDown = errors.New("connection refused")
)

// fakeStore returns a fixed status and counts its loads.
type fakeStore struct {
	status Status
	err    error
	loads  int
	ctx    context.Context // of the last load
}

func (s *fakeStore) load(ctx context.Context) (Status, error) {
	s.loads++
	s.ctx = ctx
	return s.status, s.err
}

// blockedStore is a fakeStore whose load waits until release is closed.
type blockedStore struct {
	arrived, release chan struct{}
	fakeStore
}

func newBlockedStore(status Status) *blockedStore {
	return &blockedStore{make(chan struct{}), make(chan struct{}), fakeStore{status: status}}
}

func (b *blockedStore) load(ctx context.Context) (Status, error) {
	e, err := b.fakeStore.load(ctx)
	close(b.arrived)
	<-b.release
	return e, err
}

// result is what a lookup in the background returned.
type result struct {
	Status
	err error
}

func (r *revocations) lookupInBackground(ctx context.Context, now time.Time, load func(context.Context) (Status, error)) chan result {
	done := make(chan result, 1)
	go func() {
		e, err := r.lookup(ctx, "row", now, age, load)
		done <- result{e, err}
	}()
	return done
}

// receive waits for a result, which must not take long.
func receive(t *testing.T, lookup chan result) result {
	t.Helper()
	select {
	case s := <-lookup:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("the lookup waits for another load")
		return result{}
	}
}

func TestStatusesAreCachedForTheirAge(t *testing.T) {
	r, s := &revocations{}, &fakeStore{}
	for _, c := range []struct {
		after time.Duration
		age   time.Duration
		loads int
	}{{0, age, 1}, {age - 1, age, 1}, {age, age, 2}, {age, 0, 3}, {age, 0, 4}, {age + 1, age, 4}} {
		_, err := r.lookup(t.Context(), "row", start.Add(c.after), c.age, s.load)
		require.NoError(t, err)
		require.Equal(t, c.loads, s.loads, "%v", c)
	}
}

// An ended session stays ended: it is not loaded again, however old the cached
// status is.
func TestEndedSessionIsNotLoadedAgain(t *testing.T) {
	r, s := &revocations{}, &fakeStore{status: Status{Ended: true, LoggedOut: true}}
	for _, after := range []time.Duration{0, time.Hour, 1000 * time.Hour} {
		e, err := r.lookup(t.Context(), "row", start.Add(after), 0, s.load)
		require.NoError(t, err)
		require.Equal(t, Status{Ended: true, LoggedOut: true}, e)
		require.Equal(t, 1, s.loads)
	}
}

// Any number of new sessions evicts no ended session from the cache.
func TestFloodEvictsNoEndedSession(t *testing.T) {
	r, live := &revocations{}, &fakeStore{}
	r.remember("session", Status{Ended: true, LoggedOut: true}, start)
	r.remember("subject", Status{BoundUpTo: 42}, start)
	for i := range 3 * maxCached {
		_, err := r.lookup(t.Context(), fmt.Sprint(i), start, age, live.load)
		require.NoError(t, err)
	}
	down := &fakeStore{err: errDown}
	e, err := r.lookup(t.Context(), "session", start.Add(time.Hour), age, down.load)
	require.NoError(t, err)
	require.True(t, e.Ended && e.LoggedOut)
	e, err = r.lookup(t.Context(), "subject", start.Add(time.Hour), age, down.load)
	require.ErrorIs(t, err, errDown)
	require.EqualValues(t, 42, e.BoundUpTo)
}

func TestCachesAreBounded(t *testing.T) {
	r := &revocations{}
	for i := range 4 * maxCached {
		r.remember(fmt.Sprint("live ", i), Status{}, start)
		r.remember(fmt.Sprint("dead ", i), Status{Ended: true}, start)
	}
	for _, m := range []statusCache{r.live, r.ended} {
		require.LessOrEqual(t, len(m.recent), maxCached)
		require.LessOrEqual(t, len(m.older), maxCached)
		require.NotEmpty(t, m.older)
	}
	_, ok := r.findLocked(fmt.Sprint("live ", 4*maxCached-1-maxCached/2))
	require.True(t, ok, "a recent status was evicted")
}

// A load that began before a session ended does not revive it, neither for the
// request that loaded nor for later ones.
func TestLateLoadDoesNotReviveASession(t *testing.T) {
	r, blocked := &revocations{}, newBlockedStore(Status{})
	lookup := r.lookupInBackground(t.Context(), start, blocked.load)
	<-blocked.arrived
	r.remember("row", Status{Ended: true, LoggedOut: true, BoundUpTo: 7}, start.Add(time.Second))
	close(blocked.release)
	got := receive(t, lookup)
	require.NoError(t, got.err)
	require.Equal(t, Status{Ended: true, LoggedOut: true, BoundUpTo: 7}, got.Status)
	down := &fakeStore{err: errDown}
	e, err := r.lookup(t.Context(), "row", start.Add(time.Hour), age, down.load)
	require.NoError(t, err)
	require.Equal(t, Status{Ended: true, LoggedOut: true, BoundUpTo: 7}, e)
}

// If the store is rolled back, the cached time of a subject stays.
func TestTimeOfASubjectNeverFalls(t *testing.T) {
	r, s := &revocations{}, &fakeStore{status: Status{BoundUpTo: 9}}
	for i, before := range []int64{9, 0, 5} {
		s.status.BoundUpTo = before
		e, err := r.lookup(t.Context(), "row", start.Add(time.Duration(i)*time.Hour), age, s.load)
		require.NoError(t, err)
		require.EqualValues(t, 9, e.BoundUpTo)
	}
	require.Equal(t, 3, s.loads)
}

// Requests of one session wait for the same load.
func TestOneLoadAtATime(t *testing.T) {
	r, blocked, other := &revocations{}, newBlockedStore(Status{BoundUpTo: 3}), &fakeStore{}
	first := r.lookupInBackground(t.Context(), start, blocked.load)
	<-blocked.arrived
	second := r.lookupInBackground(t.Context(), start.Add(age-1), other.load)
	time.Sleep(10 * time.Millisecond) // for the lookup to wait; if it does not yet, it reads the cache
	close(blocked.release)
	for _, lookup := range []chan result{first, second} {
		got := receive(t, lookup)
		require.NoError(t, got.err)
		require.EqualValues(t, 3, got.BoundUpTo)
	}
	require.Zero(t, other.loads)
}

// A lookup does not wait for a load that began too long ago: that load may have
// missed a revocation. When the old load ends, the newer one stays in flight.
func TestLoadThatBeganTooEarlyIsNotShared(t *testing.T) {
	r, old := &revocations{}, newBlockedStore(Status{})
	first := r.lookupInBackground(t.Context(), start, old.load)
	<-old.arrived
	newer := newBlockedStore(Status{BoundUpTo: 8})
	second := r.lookupInBackground(t.Context(), start.Add(age), newer.load)
	select {
	case <-newer.arrived:
	case <-time.After(10 * time.Second):
		t.Fatal("the lookup waits for a load that began too early")
	}
	close(old.release)
	require.NoError(t, receive(t, first).err)

	other := &fakeStore{}
	third := r.lookupInBackground(t.Context(), start.Add(age+1), other.load)
	time.Sleep(10 * time.Millisecond)
	close(newer.release)
	for _, lookup := range []chan result{second, third} {
		require.EqualValues(t, 8, receive(t, lookup).BoundUpTo)
	}
	require.Zero(t, other.loads, "the third lookup did not wait for the newer load")
}

// If the visitor whose request loads disconnects, the load continues for the other
// requests. Its deadline stays.
func TestLoadSurvivesADisconnectedVisitor(t *testing.T) {
	r, blocked := &revocations{}, newBlockedStore(Status{BoundUpTo: 4})
	ctx, disconnect := context.WithCancel(t.Context())
	ctx, cancel := context.WithDeadline(ctx, start.Add(time.Hour))
	defer cancel()
	r.lookupInBackground(ctx, start, blocked.load)
	<-blocked.arrived
	second := r.lookupInBackground(t.Context(), start, (&fakeStore{}).load)
	disconnect()
	require.NoError(t, blocked.ctx.Err())
	deadline, ok := blocked.ctx.Deadline()
	require.True(t, ok)
	require.True(t, deadline.Equal(start.Add(time.Hour)))
	close(blocked.release)
	got := receive(t, second)
	require.NoError(t, got.err)
	require.EqualValues(t, 4, got.BoundUpTo)
}

// A lookup that waits for another load stops when its own visitor disconnects.
func TestLookupOfADisconnectedVisitorStopsWaiting(t *testing.T) {
	r, blocked := &revocations{}, newBlockedStore(Status{})
	r.remember("row", Status{BoundUpTo: 6}, start.Add(-time.Hour))
	first := r.lookupInBackground(t.Context(), start, blocked.load)
	<-blocked.arrived
	ctx, disconnect := context.WithCancel(t.Context())
	disconnect()
	got := receive(t, r.lookupInBackground(ctx, start, blocked.load))
	require.ErrorIs(t, got.err, session.ErrStoreDown)
	require.ErrorIs(t, got.err, context.Canceled)
	require.EqualValues(t, 6, got.BoundUpTo, "the cached time")
	close(blocked.release)
	require.NoError(t, receive(t, first).err)
}

// After a failed load no row is loaded for a second.
func TestNoLoadSoonAfterAFailure(t *testing.T) {
	r, s := &revocations{}, &fakeStore{err: errDown}
	for _, c := range []struct {
		row   string
		after time.Duration
		loads int
	}{{"a", 0, 1}, {"a", failureBackoff - 1, 1}, {"b", failureBackoff - 1, 1}, {"b", failureBackoff, 2}} {
		_, err := r.lookup(t.Context(), c.row, start.Add(c.after), age, s.load)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, c.loads, s.loads, "%v", c)
	}
	s.err = nil
	_, err := r.lookup(t.Context(), "a", start.Add(2*failureBackoff), age, s.load)
	require.NoError(t, err)
}

func TestPanicOfTheStoreFailsWaitingLookups(t *testing.T) {
	r, blocked := &revocations{}, newBlockedStore(Status{})
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		_, _ = r.lookup(t.Context(), "row", start, age, func(ctx context.Context) (Status, error) {
			_, _ = blocked.load(ctx)
			panic("bug in a driver")
		})
	}()
	<-blocked.arrived
	waits := r.lookupInBackground(t.Context(), start, (&fakeStore{}).load)
	time.Sleep(10 * time.Millisecond)
	close(blocked.release)
	require.Equal(t, "bug in a driver", <-panicked)
	require.ErrorIs(t, receive(t, waits).err, session.ErrStoreDown)
	_, err := r.lookup(t.Context(), "row", start.Add(time.Minute), age, (&fakeStore{}).load)
	require.NoError(t, err, "the load that panicked is still in flight")
}

// readings returns start with each of its two clock readings advanced by a
// different amount. The monotonic clock stops while a machine sleeps, and the wall
// clock can be set.
func readings(wall, monotonic time.Duration) time.Time {
	t := start.Add(wall)
	clock := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	clock.ext += int64(monotonic - wall)
	return t
}

func TestFreshUsesBothClocks(t *testing.T) {
	require.Equal(t, 3*time.Second, readings(time.Second, 3*time.Second).Sub(start), "the layout of time.Time has changed")
	require.Equal(t, time.Second, readings(time.Second, 3*time.Second).Round(0).Sub(start.Round(0)))
	for name, c := range map[string]struct {
		wall, monotonic time.Duration
		want            bool
	}{
		"now":                        {0, 0, true},
		"a moment later":             {age - 1, age - 1, true},
		"too late":                   {age, age, false},
		"the machine slept":          {time.Hour, time.Second, false},
		"the clock was set back":     {-time.Second, time.Second, false},
		"the clock was set far back": {time.Second, time.Hour, false},
		"the clock was set ahead":    {age, time.Second, false},
	} {
		require.Equal(t, c.want, fresh(start, readings(c.wall, c.monotonic), age), name)
	}
}

func TestRememberKeepsEarlierEnds(t *testing.T) {
	r := &revocations{}
	r.remember("subject", Status{BoundUpTo: 9}, start)
	r.remember("subject", Status{BoundUpTo: 5}, start)
	r.remember("session", Status{Ended: true, LoggedOut: true}, start)
	r.remember("session", Status{Ended: true}, start)
	r.remember("session", Status{}, start)
	subject, _ := r.findLocked("subject")
	require.EqualValues(t, 9, subject.BoundUpTo)
	session, _ := r.findLocked("session")
	require.Equal(t, Status{Ended: true, LoggedOut: true}, session.Status)
}
