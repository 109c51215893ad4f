package keyring

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const hour = time.Hour

func TestRotate(t *testing.T) {
	old := mustGenerate(t, day)
	a := old.Active(day)
	ring, change, err := old.Rotate(at(100), Policy{})
	require.NoError(t, err)
	b := change.Added
	require.Len(t, old.Keys(), 1, "the old ring is unchanged")
	require.Zero(t, a.Retires())

	require.Equal(t, Staged, b.State(at(100)))
	require.Equal(t, at(101), b.Activates(), "the default is an hour")
	require.Equal(t, a.ID(), change.Retires.ID())
	require.Equal(t, at(101), change.Retires.Retires())
	require.Equal(t, at(101+32*24), change.Retires.Expires(), "the default is 32 days")
	require.Equal(t, a.ID(), ring.Active(at(100.99)).ID())
	require.Equal(t, b.ID(), ring.Active(at(101)).ID())
	require.Zero(t, b.Expires())
}

func TestRotatePolicy(t *testing.T) {
	now := day.Add(500 * time.Millisecond)
	tests := []struct {
		name            string
		policy          Policy
		active, expires time.Time
	}{
		{"numbers", Policy{ActivateIn: 2 * hour, Overlap: 3 * hour}, at(2).Add(time.Second), at(5).Add(time.Second)},
		{"never earlier than asked", Policy{ActivateIn: time.Millisecond, Overlap: hour}, day.Add(time.Second), at(1).Add(time.Second)},
		{"negative: at once, for ever", Policy{ActivateIn: -1, Overlap: -1}, day, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, change, err := mustGenerate(t, at(-1)).Rotate(now, tt.policy)
			require.NoError(t, err)
			require.Equal(t, tt.active, change.Added.Activates())
			require.Equal(t, tt.expires, change.Retires.Expires())
		})
	}
	for _, p := range []Policy{{ActivateIn: MaxPolicy + 1}, {Overlap: MaxPolicy + 1}} {
		_, _, err := mustGenerate(t, day).Rotate(now, p)
		require.ErrorContains(t, err, "at most 402 days")
	}
}

func TestRotateWaitsForTheStagedKey(t *testing.T) {
	ring, change, err := mustGenerate(t, day).Rotate(day, Policy{ActivateIn: hour})
	require.NoError(t, err)
	_, _, err = ring.Rotate(at(0.5), Policy{})
	var staged *StagedError
	require.True(t, errors.As(err, &staged))
	require.Equal(t, &StagedError{change.Added.ID(), at(1)}, staged)
	require.ErrorContains(t, err, "rotate after that")
	_, _, err = ring.Rotate(at(1), Policy{})
	require.NoError(t, err, "rotation is allowed after the activation")
}

// A key that is inserted before a staged one retires when the staged one
// becomes active.
func TestRotateWithAStagedKey(t *testing.T) {
	ring, one, err := mustGenerate(t, day).Rotate(day, Policy{ActivateIn: 10 * hour})
	require.NoError(t, err)
	first, _, err := ring.Rotate(day, Policy{ActivateIn: hour, Overlap: 50 * hour, AllowStaged: true})
	require.NoError(t, err)
	middle := first.Keys()[1]
	require.Equal(t, at(1), middle.Activates())
	require.Equal(t, at(10), middle.Retires())
	require.Equal(t, at(60), middle.Expires())
	require.Equal(t, one.Added.ID(), first.Active(at(10)).ID())

	last, change, err := ring.Rotate(day, Policy{ActivateIn: 20 * hour, Overlap: 50 * hour, AllowStaged: true})
	require.NoError(t, err)
	require.Equal(t, one.Added.ID(), change.Retires.ID())
	require.Equal(t, at(70), change.Retires.Expires())
	require.Equal(t, one.Retires.Expires(), last.Keys()[0].Expires(), "the planned expiry is unchanged")
}

func TestRotateInTheSameSecondKeepsTheOrder(t *testing.T) {
	ring := mustGenerate(t, day)
	for i := range 5 {
		next, change, err := ring.Rotate(day, Policy{ActivateIn: -1, AllowStaged: true})
		require.NoError(t, err)
		require.Equal(t, day.Add(time.Duration(i+1)*time.Second), change.Added.Activates())
		ring = next
	}
}

func TestPrune(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 50}, keySpan{3, 20, 0})
	same, change, err := ring.Prune(at(39))
	require.NoError(t, err)
	require.Zero(t, change)
	require.Equal(t, ring.Fingerprint(), same.Fingerprint())

	next, change, err := ring.Prune(at(45))
	require.NoError(t, err)
	one := Dead{exampleKey(1).id, Expired, at(40)}
	require.Equal(t, []Dead{one}, change.Died)
	require.Equal(t, []Dead{one}, next.Dead())
	require.Len(t, next.Keys(), 2)
	_, state := next.Find(one.ID, at(45))
	require.Equal(t, Expired, state)

	next, change, err = next.Prune(at(40).Add(remembered + time.Second))
	require.NoError(t, err)
	require.Equal(t, []Dead{one}, change.Forgot)
	_, state = next.Find(one.ID, at(45))
	require.Equal(t, Unknown, state)
}

func TestPruneForgetsTheOldestOfTooMany(t *testing.T) {
	var dead []Dead
	for i := range MaxDead {
		dead = append(dead, Dead{ID{1, 2, byte(i >> 8), byte(i)}, Expired, day.Add(time.Duration(-i) * time.Second)})
	}
	ring, err := newRing(exampleRing(t, keySpan{1, -9, -1}, keySpan{2, -5, 0}).keys, dead)
	require.NoError(t, err)
	next, change, err := ring.Prune(at(1))
	require.NoError(t, err)
	require.Len(t, next.Dead(), MaxDead)
	require.Equal(t, []Dead{{exampleKey(1).id, Expired, at(-1)}}, change.Forgot, "it died first")
}

func TestRevoke(t *testing.T) {
	spans := []keySpan{{1, 0, 40}, {2, 10, 50}, {3, 20, 0}}
	ids := []ID{exampleKey(1).id, exampleKey(2).id, exampleKey(3).id}
	tests := []struct {
		name   string
		hour   float64
		victim int
		check  func(t *testing.T, ring *Ring, c Change)
	}{
		{"retired", 15, 0, func(t *testing.T, ring *Ring, c Change) {
			require.Nil(t, c.Added)
			require.Nil(t, c.Promoted)
			require.Equal(t, ids[1], ring.Active(at(15)).ID())
		}},
		{"retired, in between: the overlap is kept", 25, 1, func(t *testing.T, ring *Ring, c Change) {
			require.Equal(t, at(20), ring.Keys()[0].Retires())
			require.Equal(t, at(50), ring.Keys()[0].Expires(), "30 hours after its successor, as planned")
		}},
		{"active with a staged one: that takes over now", 15, 1, func(t *testing.T, ring *Ring, c Change) {
			require.Equal(t, ids[2], c.Promoted.ID())
			require.Equal(t, at(10), c.Promoted.Activates(), "it takes the place of the revoked key")
			require.Equal(t, ids[2], ring.Active(at(15)).ID())
			require.Equal(t, Retired, ring.Keys()[0].State(at(15)), "a retired key stays retired")
		}},
		{"active without a staged one: a new key does", 25, 2, func(t *testing.T, ring *Ring, c Change) {
			require.Equal(t, c.Added.ID(), ring.Active(at(25)).ID())
			require.Equal(t, at(20), c.Added.Activates(), "it takes the place of the revoked key")
			require.Equal(t, at(25), c.Added.Created())
			require.Len(t, ring.Keys(), 3)
		}},
		{"staged, the last: its predecessor stays", 15, 2, func(t *testing.T, ring *Ring, c Change) {
			require.Equal(t, ids[1], ring.Active(at(9999)).ID())
			require.Zero(t, ring.Keys()[1].Expires())
		}},
		{"staged, in between: the overlap is kept", 5, 1, func(t *testing.T, ring *Ring, c Change) {
			require.Equal(t, ids[0], ring.Active(at(19)).ID())
			require.Equal(t, at(50), ring.Keys()[0].Expires(), "30 hours after its successor, as planned")
		}},
		{"the first, before its time", -5, 0, func(t *testing.T, ring *Ring, c Change) {
			require.Equal(t, ids[1], ring.Active(at(-5)).ID())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old := exampleRing(t, spans...)
			ring, change, err := old.Revoke(ids[tt.victim], at(tt.hour))
			require.NoError(t, err)
			require.Equal(t, Dead{ids[tt.victim], Revoked, at(tt.hour)}, change.Died[len(change.Died)-1])
			key, state := ring.Find(ids[tt.victim], at(tt.hour))
			require.Nil(t, key)
			require.Equal(t, Revoked, state)
			require.Len(t, old.Keys(), 3)
			tt.check(t, ring, change)
		})
	}
}

func TestRevokeTheOnlyKey(t *testing.T) {
	ring := mustGenerate(t, day)
	next, change, err := ring.Revoke(ring.Active(day).ID(), day)
	require.NoError(t, err)
	require.Equal(t, change.Added.ID(), next.Active(day).ID())
	require.Len(t, next.Keys(), 1)
}

func TestRevokeWhatIsNotThere(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 0})
	_, _, err := ring.Revoke(ID{1, 2, 3, 4}, at(5))
	require.EqualError(t, err, "keyring: the ring has no key 01020304")
	_, _, err = ring.Revoke(exampleKey(1).id, at(41))
	require.EqualError(t, err, "keyring: key ab893e9c expired at 2026-02-02T04:00:00Z; what it sealed is already void")
	revoked, _, err := ring.Revoke(exampleKey(1).id, at(5))
	require.NoError(t, err)
	_, _, err = revoked.Revoke(exampleKey(1).id, at(6))
	require.EqualError(t, err, "keyring: key ab893e9c was already revoked at 2026-01-31T17:00:00Z")
}

// A replica whose clock is behind that of the revoking machine must not fall
// back to the key before the revoked one, which expires soon.
func TestRevokeOnASlowClock(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 0})
	next, change, err := ring.Revoke(exampleKey(2).id, at(30))
	require.NoError(t, err)
	for _, hour := range []float64{30, 29.99, 11, 10} {
		require.Equal(t, change.Added.ID(), next.Active(at(hour)).ID(), "hour %v", hour)
	}
}

// Two keys never become active at the same time, since only their random ids
// would order them.
func TestRevokeOneOfTwoWithOneActivation(t *testing.T) {
	for _, victim := range []int{1, 2} {
		ring := exampleRing(t, keySpan{1, 5, 30}, keySpan{2, 5, 30}, keySpan{3, 20, 0})
		next, _, err := ring.Revoke(exampleKey(victim).id, at(6))
		require.NoError(t, err)
		active := 0
		for _, k := range next.Keys() {
			if k.State(at(6)) == Active {
				active++
			}
		}
		require.Equal(t, 1, active)
	}
}

// A machine with a slow clock sorts its new key after the existing ones.
func TestRotateOnASlowClock(t *testing.T) {
	ring := mustGenerate(t, day)
	next, change, err := ring.Rotate(at(-20), Policy{ActivateIn: hour})
	require.NoError(t, err)
	require.Equal(t, at(1), change.Added.Activates())
	require.Equal(t, ring.Active(day).ID(), next.Active(day).ID(), "the active key stays")
	_, change, err = ring.Rotate(at(-20), Policy{ActivateIn: -1})
	require.NoError(t, err)
	require.Equal(t, day.Add(time.Second), change.Added.Activates())
}

// Operators can act in any order at any time: exactly one key seals at each
// moment, no key returns to an earlier state, and the ring can be written and
// read.
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := day
		ring, err := Generate(now)
		require.NoError(t, err)
		seen := make(map[ID]State)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(30*hour)).Draw(t, "wait")))
			ring = operate(t, ring, now)
			observe(t, ring, now, seen)
			text, err := ring.Marshal()
			require.NoError(t, err)
			again, err := Parse(text)
			require.NoError(t, err)
			require.Equal(t, ring.Fingerprint(), again.Fingerprint())
		}
	})
}

func operate(t *rapid.T, ring *Ring, now time.Time) *Ring {
	next := ring
	var err error
	switch rapid.IntRange(0, 4).Draw(t, "operation") {
	case 0, 1:
		next, _, err = ring.Rotate(now, Policy{
			ActivateIn:  time.Duration(rapid.Int64Range(-1, int64(20*hour)).Draw(t, "activate in")),
			Overlap:     time.Duration(rapid.Int64Range(-1, int64(90*hour)).Draw(t, "overlap")),
			AllowStaged: rapid.Bool().Draw(t, "allow staged"),
		})
		if staged := (*StagedError)(nil); errors.As(err, &staged) {
			return ring
		}
	case 2:
		next, _, err = ring.Prune(now)
	case 3:
		victim := rapid.SampledFrom(ring.Keys()).Draw(t, "victim")
		if victim.State(now) != Expired {
			next, _, err = ring.Revoke(victim.ID(), now)
		}
	}
	require.NoError(t, err)
	return next
}

// observe checks the ring now and at some later times, as replicas do.
func observe(t *rapid.T, ring *Ring, now time.Time, seen map[ID]State) {
	for _, k := range ring.Keys() {
		state := k.State(now)
		require.GreaterOrEqual(t, state, seen[k.ID()], "key %v went from %v to %v", k.ID(), seen[k.ID()], state)
		seen[k.ID()] = state
	}
	for _, d := range ring.Dead() {
		require.True(t, d.State.Dead())
		seen[d.ID] = max(seen[d.ID], d.State)
	}
	last := make(map[ID]State)
	for _, step := range []time.Duration{-50 * hour, -hour, 0, time.Second, hour, 20 * hour, 400 * hour} {
		when, active := now.Add(step), 0
		for _, k := range ring.Keys() {
			state := k.State(when)
			require.GreaterOrEqual(t, state, last[k.ID()])
			last[k.ID()] = state
			if state == Active {
				active++
				require.Same(t, k, ring.Active(when))
			}
		}
		require.Equal(t, 1, active, "at %v", when)
	}
}
