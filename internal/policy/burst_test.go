package policy_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// bursts are the worlds in which sixty requests are sent at once.
var bursts = []world{
	{name: "writers of one entry", entries: 1, sizes: small, begin: true, ops: map[string]int{"set": 1}},
	{name: "writers of four entries", entries: 4, sizes: small, begin: true, ops: map[string]int{"set": 1}},
	{name: "writers of eight entries and touches", entries: 8, sizes: small, begin: true, ops: map[string]int{"set": 2, "touch": 1}, idle: 1 << 40},
	{name: "refreshes of a token", entries: 2, sizes: small, stable: true, begin: true, ops: map[string]int{"set": 1, "short": 2}},
	{name: "first requests", entries: 4, sizes: small, ops: map[string]int{"set": 1}},
	{name: "logins", entries: 4, sizes: small, begin: true, ops: map[string]int{"login": 1}},
	{name: "logins without a session", entries: 4, sizes: small, ops: map[string]int{"login": 1}},
	{name: "logouts", entries: 4, sizes: small, begin: true, ops: map[string]int{"logout": 1}},
	{name: "logins and logouts", entries: 4, sizes: small, begin: true, ops: map[string]int{"login": 1, "logout": 1, "set": 1}},
	{name: "touches", entries: 4, sizes: small, begin: true, ops: map[string]int{"touch": 1}, idle: 1 << 40},
	{name: "stored", entries: 4, sizes: small, begin: true, ops: map[string]int{"set": 3, "login": 1, "logout": 1}, store: true, mode: policy.StoredOnly},
}

// Sixty requests at once never lead to a header that a platform refuses, and later
// requests still succeed.
func TestSixtyRequestsAtOnceFitEveryPreset(t *testing.T) {
	for preset, limits := range presets {
		for _, w := range bursts {
			t.Run(preset+" "+w.name, func(t *testing.T) {
				for seed := uint64(1); seed <= uint64(max(*modelRuns/60, 1)); seed++ {
					w.limits, w.slow, w.skew, w.bounded = limits, state.Window, state.Skew, true
					m := newModel(w, seed, ablation{})
					require.NoError(t, m.burstOf(60))
					require.LessOrEqual(t, m.stats["most cookies"], limits.Cookies)
				}
			})
		}
	}
}

// burstOf sends n requests at once, three times, and then some one by one.
func (m *model) burstOf(n int) error {
	if m.begin {
		m.send("begin")
		if err := m.drain(); err != nil {
			return err
		}
	}
	for range 3 {
		m.now += hour
		for range n {
			m.send(m.pick())
			m.now += 10
		}
		if err := m.drain(); err != nil {
			return err
		}
	}
	m.serial = true // no request may be refused
	for _, op := range []string{"set", "set", "login", "set", "logout", "set", "login"} {
		m.send(op)
		if err := m.drain(); err != nil {
			return err
		}
	}
	return nil
}

// A form of forty steps, each of which writes an entry, fits every platform.
func TestFortyEntriesOneAfterAnotherFitEveryPreset(t *testing.T) {
	for preset, limits := range presets {
		t.Run(preset, func(t *testing.T) {
			m := newModel(world{name: "forty", limits: limits, entries: 40, sizes: []int{20}, serial: true, bounded: true, skew: state.Skew}, 1, ablation{})
			for i := range 40 {
				m.send("set")
				m.queue[0].name = m.entryName(i)
				require.NoError(t, m.drain())
				m.now += 20 * second
			}
			require.LessOrEqual(t, m.stats["most cookies"], limits.Cookies)
			v := state.Read(slices.Collect(maps.Values(m.jar)), nil, m.now, 0)
			require.Equal(t, reason.None, v.Verdict)
			require.Len(t, v.Entries, 40)
			t.Log(m.stats)
		})
	}
}
