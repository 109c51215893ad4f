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

// The fleet after the example of ASP.NET Core's: a simulated year of replicas
// with wrong clocks and a source that fails, lags and goes back, while the keys
// are rotated and revoked. Everything but time, the source and the visitors is
// the real thing.
const (
	replicas   = 12
	visitors   = 300
	tact       = 10 * time.Minute // between two looks of a replica
	maxLag     = 20 * time.Minute // of what the source answers
	maxOutage  = 18 * time.Minute // two looks
	maxSkew    = 10 * time.Minute // between any two clocks
	maxStale   = maxLag + maxOutage + tact + time.Minute
	sessionAge = 14 * 24 * time.Hour
)

// edition is one published ring.
type edition struct {
	since time.Time
	text  []byte
	ring  *Ring
}

// A fleet shares a source.
type fleet struct {
	t       *testing.T
	rand    *rand.Rand
	policy  Policy
	now     time.Time // true
	all     []*replica
	jar     []passport
	history []edition
	leaked  []leak    // keys to be revoked
	back    time.Time // until when a deploy is rolled back

	requests, logins, reseals, loggedOut   int
	rotations, revocations, rollbacks      int
	failures, unopenable, beforePublishing int
}

type replica struct {
	*fleet
	keys   *Keys
	clock  time.Duration // ahead of the true time
	lag    time.Duration
	down   time.Time // until when the source fails here
	looked time.Time // when it last answered
}

// leak is a key that is to be revoked.
type leak struct {
	id    ID
	since time.Time
}

// passport is what a visitor's cookie comes down to.
type passport struct {
	id  ID
	end time.Time // by the clock of whoever looks
}

func newFleet(t *testing.T, seed uint64, p Policy) *fleet {
	f := &fleet{t: t, rand: rand.New(rand.NewPCG(seed, 1)), policy: p, now: day, jar: make([]passport, visitors)}
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
	f.history = append(f.history, edition{when, text, ring})
}

func (f *fleet) newest() *Ring { return f.history[len(f.history)-1].ring }

// of returns what was the newest edition at a time.
func (f *fleet) of(when time.Time) edition {
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

// fetch is the source: it may be down, answer with rubbish, or with what it had
// some time ago.
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

// weather makes the source of a replica good or bad until the next look.
func (r *replica) weather() {
	r.lag = 0
	if r.now.Before(r.back) {
		r.lag = maxLag
	} else if r.chance(4) {
		r.lag = r.upTo(maxLag)
	}
	if r.now.Sub(r.looked) <= tact && r.chance(20) { // it answered the last time
		r.down = r.now.Add(r.upTo(maxOutage))
	}
}

func (f *fleet) run(days int) {
	for end := f.now.AddDate(0, 0, days); f.now.Before(end); f.now = f.now.Add(tact) {
		f.operate()
		for _, r := range f.all {
			r.weather()
			r.keys.Ring(f.t.Context())
		}
		for range 8 {
			f.visit(f.all[f.rand.IntN(replicas)], &f.jar[f.rand.IntN(visitors)])
		}
	}
}

// visit is one request.
func (f *fleet) visit(r *replica, p *passport) {
	f.requests++
	ring, now := r.keys.Ring(f.t.Context()), r.time()
	switch _, state := ring.Find(p.id, now); {
	case !now.Before(p.end):
		f.logins++
		*p = passport{f.seal(ring, now), now.Add(sessionAge)}
	case state == Revoked:
		f.loggedOut++
		*p = passport{}
	case !state.Opens():
		f.unopenable++
		*p = passport{}
	case state == Retired && f.chance(3):
		f.reseals++
		p.id = f.seal(ring, now)
	}
}

// seal asks all the others whether they know the key, too.
func (f *fleet) seal(ring *Ring, now time.Time) ID {
	id := ring.Active(now).ID()
	for _, r := range f.all {
		if _, state := r.keys.ring.Load().Find(id, r.time()); !state.Opens() && state != Revoked {
			f.beforePublishing++
		}
	}
	return id
}

// operate is the work of a job that asks every now and then, on a machine whose
// clock is wrong, too.
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
		f.back = f.now.Add(maxLag) // to what was before: see replica.weather
		f.rollbacks++
	}
}

// rotate publishes another ring, and perhaps a second one that somebody made of
// the same old ring at the same time, and that takes its place.
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

// revoke kills a key as soon as that logs out nobody but those whose sessions it
// sealed, and reports whether it is dead. If no other can take over, one is made
// first.
func (f *fleet) revoke(id ID, since, now time.Time) (dead bool) {
	old := f.newest()
	if _, state := old.Find(id, now); !state.Opens() {
		return true // meanwhile it died of itself
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
			require.Less(f.t, now.Sub(since), 3*time.Hour, "nothing is in the way of a revocation for long: %v", p)
			return false
		}
	}
	f.publish(next, f.now)
	f.revocations++
	return true
}

func (f *fleet) report() {
	f.t.Logf("%d requests, %d logins, %d sealed anew, %d logged out by revocations; %d rotations, %d revocations, %d rollbacks, %d failed reloads; %d unopenable, %d sealed before published",
		f.requests, f.logins, f.reseals, f.loggedOut, f.rotations, f.revocations, f.rollbacks, f.failures, f.unopenable, f.beforePublishing)
}

func TestFleetOfAYear(t *testing.T) {
	if testing.Short() {
		t.Skip("a year takes minutes where the code is slow, as in WebAssembly")
	}
	require.Less(t, maxStale+maxSkew, time.Hour, "the assumption of what follows")
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
			require.Zero(t, f.unopenable, "requests in which a replica met a cookie that it could not open")
			require.Zero(t, f.beforePublishing, "cookies that were sealed before all replicas had the key")
			require.GreaterOrEqual(t, f.rotations, 50)
			for what, n := range map[string]int{"revocations": f.revocations, "rollbacks": f.rollbacks, "logged out": f.loggedOut} {
				require.Greater(t, n, 10, what)
			}
			require.Greater(t, f.failures, 1000)
			require.Greater(t, f.reseals, 1000)
		})
	}
}

// The same fleet with a policy that is not kept to: what it then loses shows
// that it would notice.
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
