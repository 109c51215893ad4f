package keyring

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGenerateRoundTrips(t *testing.T) {
	ring := mustGenerate(t, day.Add(999*time.Millisecond))
	again, err := Parse(mustMarshal(t, ring))
	require.NoError(t, err)
	require.Equal(t, ring.Fingerprint(), again.Fingerprint())

	key, state := again.Find(ring.Active(day).ID(), day)
	require.Equal(t, Active, state)
	require.Same(t, again.Active(day), key)
	require.Equal(t, day, key.Created())
	require.Equal(t, byte(1), key.Format())
	require.True(t, key.Expires().IsZero() && key.Retires().IsZero())
}

// The states of keys 1, 2 … of a ring at several times. Active must return the
// active one.
func TestStates(t *testing.T) {
	tests := []struct {
		name  string
		spans []keySpan
		want  map[float64]string // hour -> states in the order of spans
	}{
		{"one key", []keySpan{{n: 1}}, map[float64]string{-9: "active", 0: "active", 9999: "active"}},
		{"one key of the future, or a clock that is behind", []keySpan{{n: 1, active: 5}},
			map[float64]string{0: "active", 5: "active"}},
		{"rotation", []keySpan{{1, 0, 40}, {2, 10, 0}}, map[float64]string{
			-1: "active staged", 0: "active staged", 9.99: "active staged",
			10: "retired active", 39.99: "retired active", 40: "expired active"}},
		{"two rotations", []keySpan{{1, 0, 40}, {2, 10, 50}, {3, 20, 0}}, map[float64]string{
			9: "active staged staged", 10: "retired active staged", 20: "retired retired active",
			40: "expired retired active", 50: "expired expired active"}},
		{"only staged keys: the first does not wait", []keySpan{{1, 5, 30}, {2, 10, 0}}, map[float64]string{
			0: "active staged", 5: "active staged", 10: "retired active"}},
		{"an open end", []keySpan{{1, 0, 0}, {2, 10, 0}}, map[float64]string{9999: "retired active"}},
		{"expiry with the successor", []keySpan{{1, 0, 10}, {2, 10, 0}}, map[float64]string{
			9: "active staged", 10: "expired active"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ring := exampleRing(t, tt.spans...)
			for hour, want := range tt.want {
				var got []string
				for _, s := range tt.spans {
					id := exampleKey(s.n).id
					key, state := ring.Find(id, at(hour))
					got = append(got, state.String())
					require.Equal(t, state.Opens(), key != nil, "hour %v", hour)
					require.Equal(t, state == Active, ring.Active(at(hour)).ID() == id, "hour %v", hour)
				}
				require.Equal(t, want, strings.Join(got, " "), "hour %v", hour)
			}
		})
	}
}

func TestTwoKeysWithOneActivation(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 5, 30}, keySpan{2, 5, 30}, keySpan{3, 20, 0})
	low, high := ring.keys[0], ring.keys[1]
	require.Less(t, low.id.String(), high.id.String())
	require.Equal(t, Active, low.State(at(4)), "the first key of a ring is active before its activation")
	require.Equal(t, Staged, high.State(at(4)))
	require.Equal(t, Retired, low.State(at(5)), "the key with the greater id seals")
	require.Equal(t, Active, high.State(at(5)))
	require.Same(t, high, ring.Active(at(5)))
}

func TestRingsThatCouldNotSeal(t *testing.T) {
	tests := []struct {
		name  string
		spans []keySpan
		want  string
	}{
		{"empty", nil, "has no keys"},
		{"the only key expires", []keySpan{{1, 0, 40}}, "the newest key"},
		{"all keys expire", []keySpan{{1, 0, 40}, {2, 10, 50}}, "the newest key"},
		{"a gap", []keySpan{{1, 0, 9}, {2, 10, 0}}, "before its successor"},
		{"a gap behind a long-lived key", []keySpan{{1, 0, 99}, {2, 10, 20}, {3, 30, 0}}, "before its successor"},
		{"one key twice", []keySpan{{1, 0, 40}, {1, 10, 0}}, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newExampleRing(tt.spans...)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestDeadKeysAreRemembered(t *testing.T) {
	k := exampleKey(1)
	k.active = day
	gone := exampleKey(2).id
	ring, err := newRing([]*Key{k}, []Dead{{gone, Revoked, day}})
	require.NoError(t, err)
	key, state := ring.Find(gone, day)
	require.Nil(t, key)
	require.Equal(t, Revoked, state)
	require.Equal(t, []Dead{{gone, Revoked, day}}, ring.Dead())

	_, err = newRing([]*Key{k}, []Dead{{k.id, Revoked, day}})
	require.ErrorContains(t, err, "cannot come back")
	_, err = newRing([]*Key{k}, []Dead{{gone, Revoked, day}, {gone, Expired, day}})
	require.Error(t, err)
}

func TestNilAndZeroRing(t *testing.T) {
	for _, ring := range []*Ring{nil, {}} {
		require.Nil(t, ring.Active(day))
		key, state := ring.Find(ID{1}, day)
		require.Nil(t, key)
		require.Equal(t, Unknown, state)
		require.Empty(t, ring.Keys())
		require.Empty(t, ring.Dead())
		require.Same(t, ring, ring.Ring(context.Background()))
		_, err := ring.Marshal()
		require.Error(t, err)
		_, _, err = ring.Rotate(day, Policy{})
		require.ErrorContains(t, err, "no keys")
	}
}

func TestReturnedSlicesAreCopies(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 0})
	ring.Keys()[0] = nil
	require.NotNil(t, ring.Keys()[0])
}

func TestFingerprint(t *testing.T) {
	a := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 0})
	require.Regexp(t, "^[0-9a-f]{16}$", a.Fingerprint())
	require.Equal(t, a.Fingerprint(), exampleRing(t, keySpan{2, 10, 0}, keySpan{1, 0, 40}).Fingerprint(), "the order in the file is irrelevant")
	for _, other := range [][]keySpan{
		{{1, 0, 40}, {3, 10, 0}}, {{1, 0, 41}, {2, 10, 0}}, {{1, 0, 0}, {2, 10, 0}}, {{1, 1, 40}, {2, 10, 0}}, {{2, 10, 0}},
	} {
		require.NotEqual(t, a.Fingerprint(), exampleRing(t, other...).Fingerprint())
	}
}

func TestDerivedIsMadeOnce(t *testing.T) {
	type slot struct{ string }
	key := exampleRing(t, keySpan{n: 1}).Active(day)
	var mu sync.Mutex
	seen := make(map[any]bool)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			got := key.Derived(slot{"a"}, func(derive func([]byte, string, int) []byte) any {
				b := derive(nil, "label", 32)
				return &b
			})
			mu.Lock()
			defer mu.Unlock()
			seen[got] = true
		})
	}
	wg.Wait()
	require.Len(t, seen, 1)
	other := key.Derived(slot{"b"}, func(derive func([]byte, string, int) []byte) any { return derive([]byte("salt"), "label", 16) })
	require.Len(t, other, 16)
}

// The id, computed with Python's hmac module from the formula in SPEC.md.
func TestKeyID(t *testing.T) {
	require.Equal(t, "ab893e9c", exampleKey(1).id.String())
	id, err := ParseID("ab893e9c")
	require.NoError(t, err)
	require.Equal(t, exampleKey(1).id, id)
	for _, bad := range []string{"", "0011223", "001122334", "0011223g", "0011223A", "０0112233"} {
		_, err := ParseID(bad)
		require.Error(t, err, bad)
	}
}
