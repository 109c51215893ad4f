package keyring

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The fleet follows the model of a test of ASP.NET Core. It simulates a year
// of replicas with wrong clocks and a source that fails, lags and goes back,
// while keys are rotated and revoked. Only time, the source and the visitors
// are simulated.
const (
	replicas   = 12
	visitors   = 300
	interval   = 10 * time.Minute // between two reads of a replica
	maxLag     = 20 * time.Minute // of the source's content
	maxOutage  = 18 * time.Minute // two reads
	maxSkew    = 10 * time.Minute // between any two clocks
	maxStale   = maxLag + maxOutage + interval + time.Minute
	sessionAge = 14 * 24 * time.Hour
)

// published is a ring that was published.
type published struct {
	since time.Time
	text  []byte
	ring  *Ring
}

// A fleet is a set of replicas with one source.
type fleet struct {
	t       *testing.T
	rand    *rand.Rand
	policy  Policy
	now     time.Time // true time
	all     []*replica
	jar     []visitorCookie
	history []published
	leaked  []leak    // keys to revoke
	back    time.Time // end of a rolled-back deploy

	requests, logins, reseals, loggedOut   int
	rotations, revocations, rollbacks      int
	failures, unopenable, beforePublishing int
}

type replica struct {
	*fleet
	keys   *Keys
	clock  time.Duration // offset from the true time
	lag    time.Duration
	down   time.Time // the source fails here until then
	looked time.Time // last successful read
}

// leak is a key to revoke.
type leak struct {
	id    ID
	since time.Time
}

// visitorCookie is a visitor's cookie, reduced to its key and its end.
type visitorCookie struct {
	id  ID
	end time.Time // by the clock of the replica that reads it
}

func newFleet(t *testing.T, seed uint64, p Policy) *fleet {
	f := &fleet{t: t, rand: rand.New(rand.NewPCG(seed, 1)), policy: p, now: day, jar: make([]visitorCookie, visitors)}
	ring, err := Generate(f.now)
	require.NoError(t, err)
	f.publish(ring, f.now)
	for i := range replicas {
		r := &replica{fleet: f, clock: maxSkew * time.Duration(i) / (replicas - 1), looked: f.now}
		r.keys, err = Open(t.Context(), Func(r.fetch), Clock(r.time), ReloadTimeout(time.Hour), OnReload(r.told))
		require.NoError(t, err)
		f.all = append(f.all, r)
	}
	return f
}

func (f *fleet) publish(ring *Ring, when time.Time) {
	text, err := ring.Marshal()
	require.NoError(f.t, err)
	f.history = append(f.history, published{when, text, ring})
}

func (f *fleet) newest() *Ring { return f.history[len(f.history)-1].ring }

// of returns the newest ring at the given time.
func (f *fleet) of(when time.Time) published {
	for i := len(f.history) - 1; i > 0; i-- {
		if !when.Before(f.history[i].since) {
			return f.history[i]
		}
	}
	return f.history[0]
}

func (f *fleet) upTo(d time.Duration) time.Duration {
	return time.Duration(f.rand.Int64N(int64(d) + 1))
}
func (f *fleet) chance(oneIn int) bool { return f.rand.IntN(oneIn) == 0 }

func (r *replica) time() time.Time { return r.now.Add(r.clock) }

func (r *replica) told(e ReloadEvent) {
	if e.Err != nil {
		r.failures++
	}
}

// fetch is the source. It may fail, return garbage, or return an older
// edition.
func (r *replica) fetch(context.Context) ([]byte, error) {
	if r.now.Before(r.down) {
		switch r.rand.IntN(3) {
		case 0:
			return nil, errors.New("down")
		case 1:
			return nil, nil
		}
		text := r.of(r.now).text
		return text[:r.rand.IntN(len(text))], nil
	}
	r.looked = r.now
	return r.of(r.now.Add(-r.lag)).text, nil
}

// nextRead decides whether the source of a replica works until the next read.
func (r *replica) nextRead() {
	r.lag = 0
	if r.now.Before(r.back) {
		r.lag = maxLag
	} else if r.chance(4) {
		r.lag = r.upTo(maxLag)
	}
	if r.now.Sub(r.looked) <= interval && r.chance(20) { // the last read succeeded
		r.down = r.now.Add(r.upTo(maxOutage))
	}
}

func (f *fleet) run(days int) {
	for end := f.now.AddDate(0, 0, days); f.now.Before(end); f.now = f.now.Add(interval) {
		f.operate()
		for _, r := range f.all {
			r.nextRead()
			r.keys.Ring(f.t.Context())
		}
		for range 8 {
			f.visit(f.all[f.rand.IntN(replicas)], &f.jar[f.rand.IntN(visitors)])
		}
	}
}

// visit simulates one request.
func (f *fleet) visit(r *replica, p *visitorCookie) {
	f.requests++
	ring, now := r.keys.Ring(f.t.Context()), r.time()
	switch _, state := ring.Find(p.id, now); {
	case !now.Before(p.end):
		f.logins++
		*p = visitorCookie{f.seal(ring, now), now.Add(sessionAge)}
	case state == Revoked:
		f.loggedOut++
		*p = visitorCookie{}
	case !state.Opens():
		f.unopenable++
		*p = visitorCookie{}
	case state == Retired && f.chance(3):
		f.reseals++
		p.id = f.seal(ring, now)
	}
}

// seal also checks whether all other replicas know the key.
func (f *fleet) seal(ring *Ring, now time.Time) ID {
	id := ring.Active(now).ID()
	for _, r := range f.all {
		if _, state := r.keys.ring.Load().Find(id, r.time()); !state.Opens() && state != Revoked {
			f.beforePublishing++
		}
	}
	return id
}

// operate simulates a scheduled job on a machine with a wrong clock.
func (f *fleet) operate() {
	now := f.now.Add(f.upTo(maxSkew))
	old := f.newest()
	if _, due, err := f.newest().Due(now, f.policy); due {
		f.rotate(now, f.chance(4))
	} else {
		require.NoError(f.t, err)
	}
	if f.chance(6 * 24 * 7) {
		keys := old.Keys()
		f.leaked = append(f.leaked, leak{keys[f.rand.IntN(len(keys))].ID(), now})
	}
	f.leaked = slices.DeleteFunc(f.leaked, func(l leak) bool { return f.revoke(l.id, l.since, now) })
	if len(f.history) > 1 && f.newest() != old && f.chance(3) {
		f.back = f.now.Add(maxLag) // to an earlier ring: see replica.nextRead
		f.rollbacks++
	}
}

// rotate publishes a new ring, and sometimes a second one that was made from
// the same old ring and replaces the first.
func (f *fleet) rotate(now time.Time, twice bool) {
	old := f.newest()
	next, _, err := old.Rotate(now, f.policy)
	require.NoError(f.t, err)
	f.publish(next, f.now)
	f.rotations++
	if twice {
		next, _, err = old.Rotate(now, f.policy)
		require.NoError(f.t, err)
		f.publish(next, f.now.Add(10*time.Second))
	}
}

// revoke revokes a key as soon as that logs out only the visitors whose
// sessions it sealed, and reports whether the key is dead. If no other key can
// take over, it makes one first.
func (f *fleet) revoke(id ID, since, now time.Time) (dead bool) {
	old := f.newest()
	if _, state := old.Find(id, now); !state.Opens() {
		return true // it expired in the meantime
	}
	next, _, err := old.Revoke(id, now)
	require.NoError(f.t, err)
	list, err := old.CheckNext(next, now, Policy{ActivateIn: time.Hour, Lifetime: sessionAge})
	require.NoError(f.t, err)
	for _, p := range list {
		if p.Loses && p.ID != id {
			if old.staged(now) == nil && f.newest() == old {
				f.rotate(now, false)
			}
			require.Less(f.t, now.Sub(since), 3*time.Hour, "a revocation is never blocked for long: %v", p)
			return false
		}
	}
	f.publish(next, f.now)
	f.revocations++
	return true
}

func (f *fleet) report() {
	f.t.Logf("%d requests, %d logins, %d resealed, %d logged out by revocations; %d rotations, %d revocations, %d rollbacks, %d failed reloads; %d unopenable, %d sealed before published",
		f.requests, f.logins, f.reseals, f.loggedOut, f.rotations, f.revocations, f.rollbacks, f.failures, f.unopenable, f.beforePublishing)
}

func TestFleetOfAYear(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulated year takes minutes on slow platforms such as WebAssembly")
	}
	require.Less(t, maxStale+maxSkew, time.Hour, "the cases below assume this")
	week := 7 * 24 * time.Hour
	for name, p := range map[string]Policy{
		"a key is staged for an hour": {Period: week, ActivateIn: time.Hour, Overlap: sessionAge + time.Hour, Lifetime: sessionAge},
		"one is always staged":        {Period: week, ActivateIn: week, Overlap: sessionAge + week, Lifetime: sessionAge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 20260131, p)
			f.run(365)
			f.report()
			require.Zero(t, f.unopenable, "requests with a cookie that the replica could not open")
			require.Zero(t, f.beforePublishing, "cookies sealed before all replicas had the key")
			require.GreaterOrEqual(t, f.rotations, 50)
			for what, n := range map[string]int{"revocations": f.revocations, "rollbacks": f.rollbacks, "logged out": f.loggedOut} {
				require.Greater(t, n, 10, what)
			}
			require.Greater(t, f.failures, 1000)
			require.Greater(t, f.reseals, 1000)
		})
	}
}

// The same fleet with a policy that it violates: the lost sessions prove that
// the simulation detects losses.
func TestFleetThatIsRunBadly(t *testing.T) {
	week := 7 * 24 * time.Hour
	t.Run("not staged", func(t *testing.T) {
		f := newFleet(t, 1, Policy{Period: week, ActivateIn: -1})
		f.run(60)
		f.report()
		require.NotZero(t, f.beforePublishing)
	})
	t.Run("an overlap that is too short", func(t *testing.T) {
		f := newFleet(t, 1, Policy{Period: week, Overlap: 24 * time.Hour})
		f.run(60)
		f.report()
		require.NotZero(t, f.unopenable)
		require.Zero(t, f.beforePublishing)
	})
}
