package keyring

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDue(t *testing.T) {
	week := Policy{Period: 168 * hour, ActivateIn: 2 * hour}
	tests := []struct {
		name  string
		spans []keySpan
		p     Policy
		at    float64
	}{
		{"one key", []keySpan{{n: 1}}, week, 166},
		{"one key of the future", []keySpan{{n: 1, active: 5}}, week, 171},
		{"two keys", []keySpan{{1, 0, 400}, {2, 100, 0}}, week, 266},
		{"a standby: the next is staged when the newest becomes active", []keySpan{{1, 0, 900}, {2, 100, 0}}, Policy{Period: 168 * hour, ActivateIn: 168 * hour}, 100},
		{"defaults", []keySpan{{n: 1}}, Policy{}, 30*24 - 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ring := exampleRing(t, tt.spans...)
			for _, when := range []float64{-1000, tt.at - 0.001, tt.at, tt.at + 10000} {
				got, due, err := ring.Due(at(when), tt.p)
				require.NoError(t, err)
				require.Equal(t, at(tt.at), got)
				require.Equal(t, when >= tt.at, due, "at hour %v", when)
			}
		})
	}
}

func TestDueOfNoRingAndNoPolicy(t *testing.T) {
	at, due, err := mustGenerate(t, day).Due(day.AddDate(50, 0, 0), Policy{Period: -1})
	require.NoError(t, err)
	require.False(t, due, "negative is never")
	require.Zero(t, at)
	for name, p := range map[string]Policy{
		"shorter than the time until activation": {Period: hour, ActivateIn: 2 * hour},
		"at most 730 days":                       {Period: MaxPeriod + 1},
		"more than 256 keys":                     {Period: hour},
		"at most 402 days each":                  {Overlap: MaxPolicy + 1},
		"logs users out":                         {Overlap: 24 * hour, Lifetime: 24 * hour},
	} {
		_, _, err := mustGenerate(t, day).Due(day, p)
		require.ErrorContains(t, err, name)
	}
	for _, ring := range []*Ring{nil, {}} {
		_, _, err := ring.Due(day, Policy{})
		require.ErrorContains(t, err, "no keys")
	}
}

// A job that runs every hour and rotates when due keeps the period. A second
// job that runs at the same time has nothing to do.
func TestDueKeepsThePeriod(t *testing.T) {
	p := Policy{Period: 7 * 24 * hour, ActivateIn: 3 * hour, Overlap: 20 * 24 * hour}
	ring := mustGenerate(t, day)
	for h := range 365 * 24 {
		now := at(float64(h))
		if _, due, err := ring.Due(now, p); err != nil || !due {
			require.NoError(t, err)
			continue
		}
		next, _, err := ring.Rotate(now, p)
		require.NoError(t, err, "a rotation that is due is never refused")
		ring = next
		_, due, err := ring.Due(now, p)
		require.NoError(t, err)
		require.False(t, due)
	}
	keys := ring.Keys()
	require.Len(t, keys, 4, "20 days of overlap are not quite three weeks")
	for i, k := range keys[1:] {
		require.Equal(t, 7*24*hour, k.Activates().Sub(keys[i].Activates()))
		require.Equal(t, 3*hour, k.Activates().Sub(k.Created()))
	}
	require.Len(t, ring.Dead(), 52-3)
}

func TestRotateRefusesAnOverlapThatIsTooShort(t *testing.T) {
	ring := mustGenerate(t, day)
	p := Policy{ActivateIn: hour, Overlap: 25 * hour, Lifetime: 24 * hour}
	_, _, err := ring.Rotate(day, p)
	require.NoError(t, err)
	p.Overlap--
	_, _, err = ring.Rotate(day, p)
	var short *OverlapError
	require.True(t, errors.As(err, &short))
	require.Equal(t, &OverlapError{Overlap: 25*hour - 1, Least: 25 * hour}, short)
	p.Overlap = -1
	_, _, err = ring.Rotate(day, p)
	require.NoError(t, err, "an overlap without an end is long enough")
	_, _, err = ring.Rotate(day, Policy{Lifetime: 32 * 24 * hour})
	require.ErrorContains(t, err, "must be at least 32d1h", "the default overlap can also be too short")
}

func TestCheckLifetime(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 20}, keySpan{3, 15, 0}, keySpan{4, 30, 0})
	require.NoError(t, ring.CheckLifetime(at(12), 5*hour))
	require.NoError(t, ring.CheckLifetime(at(12), 0))
	var short *OverlapError
	require.True(t, errors.As(ring.CheckLifetime(at(12), 6*hour), &short))
	require.Equal(t, &OverlapError{exampleKey(2).id, 5 * hour, 6 * hour}, short)
	require.True(t, errors.As(ring.CheckLifetime(at(12), 31*hour), &short))
	require.Equal(t, exampleKey(1).id, short.ID, "the first key of the schedule")
	require.NoError(t, ring.CheckLifetime(at(20), 30*hour), "expired keys are ignored")
	require.NoError(t, ring.CheckLifetime(at(40), 9999*hour), "a key without expiry is long enough")
	require.NoError(t, (*Ring)(nil).CheckLifetime(day, hour))
	require.NoError(t, mustGenerate(t, day).CheckLifetime(day, 9999*hour), "the next rotation sets the expiry of the newest key")
}
