package keyring

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// secretManager is a secret manager that a test controls.
type secretManager struct {
	mu    sync.Mutex
	text  []byte
	err   error
	calls int
	gate  chan struct{} // if not nil, fetch waits for it and ignores its context
}

func (v *secretManager) fetch(context.Context) ([]byte, error) {
	v.mu.Lock()
	v.calls++
	gate := v.gate
	v.mu.Unlock()
	if gate != nil {
		<-gate
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text, v.err
}

func (v *secretManager) put(t testing.TB) *Ring {
	ring := mustGenerate(t, day)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text = mustMarshal(t, ring)
	return ring
}

func (v *secretManager) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *secretManager) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

func openVault(t testing.TB, opts ...Option) (*secretManager, *Keys) {
	t.Helper()
	v := new(secretManager)
	v.put(t)
	keys, err := Open(context.Background(), Func(v.fetch), append(opts, quiet)...)
	require.NoError(t, err)
	return v, keys
}

var quiet = OnReload(func(ReloadEvent) {})

// These tests run in a synctest bubble: time passes only while all goroutines
// wait.

func TestFuncIsAskedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		v, keys := openVault(t)
		first := keys.Ring(ctx)
		second := v.put(t)
		time.Sleep(59 * time.Second)
		require.Same(t, first, keys.Ring(ctx))
		require.Equal(t, 1, v.count())
		time.Sleep(time.Second)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
		require.Equal(t, 2, v.count())
		same := keys.Ring(ctx)
		time.Sleep(time.Minute)
		require.Same(t, same, keys.Ring(ctx), "an unchanged ring keeps its derived keys")
		require.Equal(t, 3, v.count())
	})
}

func TestReloadEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t, ReloadEvery(-1))
		time.Sleep(1000 * time.Hour)
		keys.Ring(t.Context())
		require.Equal(t, 1, v.count(), "negative is never")
		keys.Refresh(t.Context())
		require.Equal(t, 2, v.count(), "but Refresh looks")

		v, keys = openVault(t, ReloadEvery(time.Hour))
		time.Sleep(59 * time.Minute)
		keys.Ring(t.Context())
		require.Equal(t, 1, v.count())
		time.Sleep(time.Minute)
		keys.Ring(t.Context())
		require.Equal(t, 2, v.count())
	})
}

func TestRefreshReadsAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		v, keys := openVault(t)
		second := v.put(t)
		require.Equal(t, second.Fingerprint(), keys.Refresh(ctx).Fingerprint(), "also right after Open")
		third := v.put(t)
		for range 1000 { // a flood of unknown ids
			require.Equal(t, second.Fingerprint(), keys.Refresh(ctx).Fingerprint())
		}
		require.Equal(t, 2, v.count())
		time.Sleep(time.Second)
		require.Equal(t, third.Fingerprint(), keys.Refresh(ctx).Fingerprint())
		require.Equal(t, 3, v.count())
	})
}

func TestRefreshIsOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		v.set(func() { v.gate = make(chan struct{}) })
		second := v.put(t)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				require.Equal(t, second.Fingerprint(), keys.Refresh(t.Context()).Fingerprint(), "all callers wait for the same read")
			})
		}
		synctest.Wait()
		require.Equal(t, 2, v.count())
		close(v.gate)
		wg.Wait()
		require.Equal(t, 2, v.count())
	})
}

func TestOthersGoOnWithTheOldRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		old := keys.Ring(t.Context())
		v.set(func() { v.gate = make(chan struct{}) })
		second := v.put(t)
		time.Sleep(time.Minute)
		noticed := make(chan *Ring)
		go func() { noticed <- keys.Ring(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		for range 100 {
			require.Same(t, old, keys.Ring(t.Context()))
		}
		require.Zero(t, time.Since(start))
		close(v.gate)
		require.Equal(t, second.Fingerprint(), (<-noticed).Fingerprint())
	})
}

func TestSourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var events []ReloadEvent
		v := new(secretManager)
		ring := v.put(t)
		keys, err := Open(ctx, Func(v.fetch), OnReload(func(e ReloadEvent) { events = append(events, e) }))
		require.NoError(t, err)
		v.set(func() { v.gate = make(chan struct{}) })

		for i, ask := range []func(context.Context) *Ring{keys.Refresh, keys.Ring, keys.Refresh} {
			time.Sleep(time.Minute)
			start := time.Now()
			require.Equal(t, ring.Fingerprint(), ask(ctx).Fingerprint())
			want := 2 * time.Second
			if i > 0 {
				want = 0 // a pending read is known
			}
			require.Equal(t, want, time.Since(start))
			require.Equal(t, i+1, events[i].Failures)
		}
		require.ErrorIs(t, events[0].Err, context.DeadlineExceeded)
		require.ErrorContains(t, events[1].Err, "still not answered")
		require.Equal(t, 2, v.count(), "only one goroutine hangs")

		second := v.put(t)
		close(v.gate)
		time.Sleep(time.Minute)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
		require.True(t, events[3].Changed)
		require.NoError(t, events[3].Err)
	}) // synctest fails if a goroutine is left behind
}

func TestReloadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ set, want time.Duration }{{0, 2 * time.Second}, {-1, 2 * time.Second}, {time.Hour, time.Hour}} {
			v, keys := openVault(t, ReloadTimeout(tt.set))
			gate := make(chan struct{})
			v.set(func() { v.gate = gate })
			start := time.Now()
			keys.Refresh(t.Context())
			require.Equal(t, tt.want, time.Since(start))
			close(gate)
		}
	})
}

// A visitor who disconnects does not end the reload for all others.
func TestReloadOutlivesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen error
		text := mustMarshal(t, mustGenerate(t, day))
		keys, err := Open(t.Context(), Func(func(ctx context.Context) ([]byte, error) {
			seen = ctx.Err()
			return text, nil
		}), quiet)
		require.NoError(t, err)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		other := mustGenerate(t, day)
		text = mustMarshal(t, other)
		require.Equal(t, other.Fingerprint(), keys.Refresh(gone).Fingerprint())
		require.NoError(t, seen)
	})
}

// A caller that waits for another caller's read can leave.
func TestWaitersHeedTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t, ReloadTimeout(time.Hour))
		v.set(func() { v.gate = make(chan struct{}) })
		done := make(chan struct{})
		go func() { keys.Refresh(t.Context()); close(done) }()
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.NotNil(t, keys.Refresh(impatient))
		require.Equal(t, time.Second, time.Since(start))
		close(v.gate)
		<-done
	})
}

func TestOpenHeedsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		v := &secretManager{gate: gate}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := Open(ctx, Func(v.fetch))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(start))
		close(gate)
	})
}

func TestSourceThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var event ReloadEvent
		v := new(secretManager)
		ring := v.put(t)
		fetch := v.fetch
		keys, err := Open(t.Context(), Func(func(ctx context.Context) ([]byte, error) { return fetch(ctx) }), OnReload(func(e ReloadEvent) { event = e }))
		require.NoError(t, err)
		fetch = func(context.Context) ([]byte, error) { panic("top secret") }
		require.Equal(t, ring.Fingerprint(), keys.Refresh(t.Context()).Fingerprint())
		require.ErrorContains(t, event.Err, "panicked")
		require.NotContains(t, event.Err.Error(), "top secret")
	})
}

func TestBadRingKeepsTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		old := keys.Ring(t.Context())
		for _, bad := range []string{"", "{}", exampleText(1), string(make([]byte, MaxSize+1))} {
			v.set(func() { v.text = []byte(bad) })
			time.Sleep(time.Minute)
			require.Same(t, old, keys.Ring(t.Context()))
		}
	})
}

// A clock that jumps back by a year must not stop the reloads for a year.
func TestClockSetBack(t *testing.T) {
	now := day
	v, keys := openVault(t, Clock(func() time.Time { return now }))
	now = day.AddDate(-1, 0, 0)
	second := v.put(t)
	require.Equal(t, second.Fingerprint(), keys.Ring(context.Background()).Fingerprint())
	third := v.put(t)
	require.Equal(t, third.Fingerprint(), keys.Refresh(context.Background()).Fingerprint())
	now = day.AddDate(-2, 0, 0)
	fourth := v.put(t)
	require.Equal(t, fourth.Fingerprint(), keys.Refresh(context.Background()).Fingerprint())
}

func TestEnv(t *testing.T) {
	const name = "CARRYON_TEST_RING"
	os.Unsetenv(name)
	_, err := Open(context.Background(), Env(name))
	require.EqualError(t, err, "keyring: cannot read the ring from the environment variable "+name+": the environment variable "+name+" is not set; make one with: carryon keys init -")
	first, second := mustGenerate(t, day), mustGenerate(t, day)
	t.Setenv(name, string(mustMarshal(t, first)))
	now := day
	keys, err := Open(context.Background(), Env(name), Clock(func() time.Time { return now }), quiet)
	require.NoError(t, err)
	t.Setenv(name, string(mustMarshal(t, second)))
	now = day.AddDate(1, 0, 0)
	require.Equal(t, first.Fingerprint(), keys.Ring(context.Background()).Fingerprint())
	require.Equal(t, second.Fingerprint(), keys.Refresh(context.Background()).Fingerprint())
}

func TestFS(t *testing.T) {
	ring := mustGenerate(t, day)
	fsys := fstest.MapFS{"keys/ring.json": {Data: mustMarshal(t, ring)}, "big": {Data: make([]byte, MaxSize+1)}}
	keys, err := Open(context.Background(), FS(fsys, "keys/ring.json"))
	require.NoError(t, err)
	require.Equal(t, ring.Fingerprint(), keys.Ring(context.Background()).Fingerprint())
	_, err = Open(context.Background(), FS(fsys, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(context.Background(), FS(fsys, "big"))
	require.ErrorContains(t, err, "larger than")
}

func TestNoSource(t *testing.T) {
	for _, src := range []Source{{}, Func(nil)} {
		_, err := Open(context.Background(), src)
		require.ErrorContains(t, err, "no source")
	}
}

func captureLog(t *testing.T) *bytes.Buffer {
	var log bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return &log
}

func TestEphemeralSaysSoOnce(t *testing.T) {
	log := captureLog(t)
	keys := Ephemeral()
	for range 3 {
		require.NotNil(t, keys.Ring(context.Background()).Active(time.Now()))
		require.Same(t, keys.Ring(context.Background()), keys.Refresh(context.Background()))
	}
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=WARN")))
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")))
	require.NotEqual(t, keys.Ring(context.Background()).Fingerprint(), Ephemeral().Ring(context.Background()).Fingerprint())
}

// Without OnReload, a failure is logged when it begins and when it ends, not
// every second.
func TestReloadsAreLogged(t *testing.T) {
	log := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		v := new(secretManager)
		v.put(t)
		keys, err := Open(t.Context(), Func(v.fetch))
		require.NoError(t, err)
		v.set(func() { v.err = errors.New("down") })
		for range 10 {
			time.Sleep(time.Minute)
			keys.Ring(t.Context())
		}
		v.set(func() { v.err = nil })
		time.Sleep(time.Minute)
		keys.Ring(t.Context())
	})
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("reload failed")), log)
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("opened")), log)
	require.Equal(t, 3, bytes.Count(log.Bytes(), []byte("\n")), log)
	require.Equal(t, 3, bytes.Count(log.Bytes(), []byte("ring=")), "each line has the fingerprint")
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 50 {
		_, keys := openVault(t)
		keys.Ring(context.Background())
		keys.Refresh(context.Background())
	}
	for i := 0; i < 1000 && runtime.NumGoroutine() > before; i++ {
		time.Sleep(time.Millisecond)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
}

// Many requests during rotations: every request gets a ring with an active
// key, and no request gets an older ring than the previous one.
func TestRotationUnderLoad(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip("WebAssembly has one thread and no preemption, so the readers would never stop")
	}
	var clock atomic.Int64
	now := func() time.Time { return day.Add(time.Duration(clock.Load())) }
	v := new(secretManager)
	ring := v.put(t)
	keys, err := Open(context.Background(), Func(v.fetch), Clock(now), ReloadEvery(time.Second))
	require.NoError(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := keys.Ring(context.Background())
				if r.Active(now()) == nil || len(r.Keys())+len(r.Dead()) < last {
					t.Error("got a ring without an active key, or an older ring")
					return
				}
				last = len(r.Keys()) + len(r.Dead())
				r.Active(now()).Derived("slot", func(derive func([]byte, string, int) []byte) any { return derive(nil, "x", 32) })
				keys.Refresh(context.Background())
			}
		})
	}
	for range 30 {
		clock.Add(int64(2 * time.Hour))
		ring, _, err = ring.Rotate(now(), Policy{Overlap: 10 * time.Hour})
		require.NoError(t, err)
		v.set(func() { v.text = mustMarshal(t, ring) })
		runtime.Gosched()
	}
	clock.Add(int64(2 * time.Hour))
	require.Eventually(t, func() bool {
		return keys.Ring(context.Background()).Fingerprint() == ring.Fingerprint() || tickOn(&clock)
	}, 10*time.Second, time.Millisecond)
	close(stop)
	wg.Wait()
}

func tickOn(clock *atomic.Int64) bool { clock.Add(int64(time.Second)); return false }
