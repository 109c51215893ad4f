package keyring

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The new ring has a key of a format that the program does not have. The last
// good ring stays in use, the failure is reported, and the next valid ring is
// accepted.
func TestRingThatFailsACheckKeepsTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []ReloadEvent
		v := new(secretManager)
		first := v.put(t)
		keys, err := Open(t.Context(), Func(v.fetch), OnReload(func(e ReloadEvent) { events = append(events, e) }))
		require.NoError(t, err)
		errFormat := errors.New("key 00000000 seals format 2, which this program does not have")
		require.NoError(t, keys.Require(func(*Ring) error { return nil }))
		require.NoError(t, keys.Require(func(r *Ring) error {
			for _, k := range r.Keys() {
				if k.Format() != 1 {
					return errFormat
				}
			}
			return nil
		}))

		other, _, err := first.Rotate(day, Policy{Format: 2})
		require.NoError(t, err)
		v.set(func() { v.text = mustMarshal(t, other) })
		for i := range 3 {
			time.Sleep(time.Minute)
			require.Equal(t, first.Fingerprint(), keys.Ring(t.Context()).Fingerprint())
			require.Len(t, events, i+1)
			require.ErrorIs(t, events[i].Err, errFormat)
			require.ErrorContains(t, events[i].Err, "(in the function)")
			require.Equal(t, i+1, events[i].Failures)
			require.False(t, events[i].Changed)
			require.Equal(t, first.Fingerprint(), events[i].Fingerprint)
		}
		_, verdict := keys.Resolve(t.Context(), other.Keys()[1].ID())
		require.Equal(t, Undecided, verdict, "the key exists, so its sessions do not belong to another program")

		second, _, err := first.Rotate(day, Policy{})
		require.NoError(t, err)
		v.set(func() { v.text = mustMarshal(t, second) })
		time.Sleep(time.Minute)
		require.Equal(t, second.Fingerprint(), keys.Ring(t.Context()).Fingerprint())
		require.NoError(t, events[len(events)-1].Err)
	})
}

// Require reports the fault of the ring in use at once, and drops the check.
func TestRequireOfTheRingInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, keys := openVault(t)
		errBad, asked := errors.New("bad"), 0
		require.ErrorIs(t, keys.Require(func(r *Ring) error {
			require.Same(t, keys.ring.Load(), r)
			asked++
			return errBad
		}), errBad)
		second := v.put(t)
		time.Sleep(time.Minute)
		require.Equal(t, second.Fingerprint(), keys.Ring(t.Context()).Fingerprint())
		require.Equal(t, 1, asked)
	})
}
