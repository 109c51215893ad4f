package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every layout of up to three keys, with activations before, at or after now,
// some of them equal, with or without an expiry. The states must match a
// second implementation of the table in SPEC.md.
func TestEveryLayout(t *testing.T) {
	var choices []keySpan
	for _, active := range []float64{-2, -1, 0, 1, 2} {
		for _, end := range []float64{-1.5, 0.0001, 1, 1.5, 3} { // exampleRing reads 0 as no expiry
			if end > active {
				choices = append(choices, keySpan{0, active, end})
			}
		}
		choices = append(choices, keySpan{0, active, 0})
	}
	layouts := 0
	var rings func(n int, spans []keySpan)
	rings = func(n int, spans []keySpan) {
		if n > 0 {
			ring, err := newExampleRing(spans...)
			require.Equal(t, legal(spans), err == nil, "%v", spans)
			if err == nil {
				layouts++
				requireTable(t, ring, spans)
			}
		}
		if n == 3 {
			return
		}
		for _, s := range choices {
			s.n = n + 1
			rings(n+1, append(slices.Clone(spans), s))
		}
	}
	rings(0, nil)
	require.Greater(t, layouts, 1000)
}

// inOrder sorts spans in the order of SPEC.md.
func inOrder(spans []keySpan) []keySpan {
	return slices.SortedFunc(slices.Values(spans), func(a, b keySpan) int {
		if a.active != b.active {
			return at(a.active).Compare(at(b.active))
		}
		x, y := layoutIDs[a.n], layoutIDs[b.n]
		return bytes.Compare(x[:], y[:])
	})
}

var layoutIDs = map[int]ID{1: exampleKey(1).id, 2: exampleKey(2).id, 3: exampleKey(3).id}

// legal reports whether the spans satisfy rule 5 of SPEC.md.
func legal(spans []keySpan) bool {
	spans = inOrder(spans)
	last := len(spans) - 1
	for i, s := range spans {
		if i == last && s.expires != 0 || i < last && s.expires != 0 && s.expires < spans[i+1].active {
			return false
		}
	}
	return true
}

// requireTable compares a ring with the table of states.
func requireTable(t *testing.T, ring *Ring, spans []keySpan) {
	spans = inOrder(spans)
	for _, now := range []float64{-2, -1, 0, 1, 1.5, 2, 3} {
		active := 0
		for i, s := range spans {
			want := Staged
			switch {
			case s.expires != 0 && now >= s.expires:
				want = Expired
			case i+1 < len(spans) && now >= spans[i+1].active:
				want = Retired
			case i == 0 || now >= s.active:
				want = Active
			}
			key, got := ring.Find(layoutIDs[s.n], at(now))
			if got != want || (key != nil) != want.Opens() {
				require.Fail(t, "wrong state", "key %d of %v at %v: %v, not %v", s.n, spans, now, got, want)
			}
			if want == Active {
				active++
				require.Equal(t, layoutIDs[s.n], ring.Active(at(now)).ID(), "%v at %v", spans, now)
			}
		}
		require.Equal(t, 1, active, "%v at %v", spans, now)
	}
}

// A history records which ring was published when, in true time, and the
// largest errors of clocks and replicas.
type history struct {
	policy Policy
	delay  time.Duration // the policy for CheckNext; at most policy.ActivateIn
	skew   time.Duration // the largest difference between two clocks
	stale  time.Duration // the longest time that a replica uses an old ring
	clocks []time.Duration
	rings  []*Ring
	since  []time.Time // publication time of each ring
}

// at returns the rings that some replica may use at a time: the newest, and
// those that were replaced less than stale ago.
func (h *history) at(t time.Time) (rings []*Ring) {
	for i, ring := range h.rings {
		over := i+1 < len(h.rings) && t.Sub(h.since[i+1]) >= h.stale && !t.Before(h.since[i+1])
		if !over && !t.Before(h.since[i]) {
			rings = append(rings, ring)
		}
	}
	return rings
}

// revoked reports whether the key was revoked by hand before t.
func (h *history) revoked(id ID, t time.Time) bool {
	for i, ring := range h.rings {
		if ring.find(id).dead == Revoked && !t.Before(h.since[i]) {
			return true
		}
	}
	return false
}

// moments returns the true times at which something changes for any replica.
func (h *history) moments() (list []time.Time) {
	add := func(t time.Time) { list = append(list, t.Add(-1), t) }
	for i, ring := range h.rings {
		add(h.since[i])
		add(h.since[i].Add(h.stale))
		for _, k := range ring.keys {
			for _, off := range h.clocks {
				add(k.active.Add(-off))
				if !k.expires.IsZero() {
					add(k.expires.Add(-off))
				}
			}
		}
	}
	slices.SortFunc(list, time.Time.Compare)
	return slices.Compact(list)
}

// A seal is a cookie that a replica made.
type seal struct {
	id   ID
	when time.Time // true time
	end  time.Time // by the clock of each replica
}

// seals returns all cookies that could be made at the given moments.
func (h *history) seals(moments []time.Time) map[seal]bool {
	made := make(map[seal]bool)
	for _, t := range moments {
		for _, ring := range h.at(t) {
			for _, off := range h.clocks {
				now := t.Add(off)
				made[seal{ring.Active(now).ID(), t, now.Add(h.policy.Lifetime)}] = true
			}
		}
	}
	return made
}

// unopenable returns an error if a replica cannot open a cookie that has not
// ended.
func (h *history) unopenable() error {
	moments := h.moments()
	for s := range h.seals(moments) {
		for _, off := range h.clocks {
			last := s.end.Add(-off - 1)
			for _, t := range append([]time.Time{s.when, last}, moments...) {
				if t.Before(s.when) || t.After(last) || h.revoked(s.id, t) {
					continue
				}
				for _, ring := range h.at(t) {
					if key, state := ring.Find(s.id, t.Add(off)); key == nil {
						return fmt.Errorf("sealed by %v at %v, alive until %v, is %v at %v by a clock that is %v ahead", s.id, s.when, s.end, state, t, off)
					}
				}
			}
		}
	}
	return nil
}

func (h *history) last() *Ring { return h.rings[len(h.rings)-1] }

func (h *history) publish(ring *Ring, t time.Time) {
	h.rings, h.since = append(h.rings, ring), append(h.since, t)
}

// No sequence of legal steps, with any clock, makes a cookie unopenable, as
// long as staleness plus skew is below the time until activation (less one
// second for rounding).
func TestNoCookieIsEverUnopenable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := func(name string, from, to time.Duration) time.Duration {
			// In steps, because rapid mostly draws tiny numbers from a large
			// range.
			part := rapid.SampledFrom([]int64{0, 1, 3, 10, 25, 50, 75, 100}).Draw(t, name+" in percent")
			return from + (to-from)/100*time.Duration(part)
		}
		h := &history{}
		h.delay = length("propagation delay", 3*time.Second, 48*hour)
		h.policy.ActivateIn = h.delay + length("staged longer", 0, 100*hour)
		h.policy.Lifetime = length("lifetime", time.Second, 400*hour)
		h.policy.Overlap = h.policy.Lifetime + h.policy.ActivateIn + length("more overlap", 0, 50*hour)
		h.policy.Period = h.policy.ActivateIn + h.policy.Overlap/200 + length("period", time.Second, 300*hour)
		slack := h.delay - time.Second
		h.skew = length("skew", 0, slack)
		h.stale = slack - h.skew
		h.clocks = []time.Duration{0, h.skew, length("clock", 0, h.skew)}
		operator := func() time.Duration { return rapid.SampledFrom(h.clocks).Draw(t, "operator's clock") }

		when := day
		first, err := Generate(when.Add(operator()))
		require.NoError(t, err)
		h.publish(first, when)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			when = when.Add(length("wait", 0, rapid.SampledFrom([]time.Duration{h.policy.ActivateIn, 2*h.policy.ActivateIn + 100*hour}).Draw(t, "at most")))
			if next := step(t, h, when.Add(operator())); next != nil {
				h.publish(next, when)
			}
		}
		require.NoError(t, h.unopenable())
	})
}

// step performs a random legal step, or none.
func step(t *rapid.T, h *history, now time.Time) *Ring {
	old, next := h.last(), (*Ring)(nil)
	var err error
	var victim ID
	switch rapid.SampledFrom([]string{"rotate", "rotate", "if due", "prune", "revoke", "revoke"}).Draw(t, "step") {
	case "rotate":
		next, _, err = old.Rotate(now, h.policy)
	case "if due":
		if _, due, _ := old.Due(now, h.policy); !due {
			return nil
		}
		next, _, err = old.Rotate(now, h.policy)
		require.NoError(t, err, "a rotation that is due is legal")
	case "prune":
		next, _, err = old.Prune(now)
	case "revoke":
		victim = rapid.SampledFrom(append(old.Keys(), old.Active(now), old.Active(now))).Draw(t, "victim").ID()
		if _, state := old.Find(victim, now); state == Expired {
			return nil
		}
		next, _, err = old.Revoke(victim, now)
	}
	if staged := (*StagedError)(nil); errors.As(err, &staged) {
		return nil
	}
	require.NoError(t, err)
	list, err := old.CheckNext(next, now, Policy{ActivateIn: h.delay, Overlap: h.policy.Overlap, Lifetime: h.policy.Lifetime})
	require.NoError(t, err)
	for _, p := range list {
		if p.Loses && p.ID != victim {
			require.NotZero(t, victim, "only a revocation can be refused: %v", p)
			return nil
		}
	}
	return next
}

// The bound is exact, and the search above can find violations.
func TestHistoryFindsWhatIsLost(t *testing.T) {
	policy := Policy{ActivateIn: hour, Lifetime: 24 * hour, Overlap: 25 * hour}
	rotated := func(h *history) {
		next, _, err := h.last().Rotate(at(100), h.policy)
		require.NoError(t, err)
		h.publish(next, at(100))
	}
	tests := []struct {
		name string
		edit func(h *history)
		step func(h *history)
		want string // "" if nothing is lost
	}{
		{"within the bounds", func(*history) {}, rotated, ""},
		{"too stale", func(h *history) { h.stale += 2 * time.Second }, rotated, "is unknown"},
		{"clocks that differ too much", func(h *history) { h.clocks = []time.Duration{0, hour} }, rotated, "is unknown"},
		{"an overlap that is too short", func(h *history) { h.policy.Overlap, h.policy.Lifetime = 23*hour, 0 },
			func(h *history) { rotated(h); h.policy.Lifetime = 24 * hour }, "is expired"},
		{"at once", func(h *history) { h.policy.ActivateIn = -1 }, rotated, "is unknown"},
		{"a ring that was cut", func(*history) {}, func(h *history) {
			other, err := Generate(at(100))
			require.NoError(t, err)
			h.publish(other, at(100))
		}, "is unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &history{policy: policy, skew: hour / 2, stale: hour/2 - time.Second, clocks: []time.Duration{0, hour / 2}}
			tt.edit(h)
			first, err := Generate(day)
			require.NoError(t, err)
			h.publish(first, day)
			tt.step(h)
			if err := h.unopenable(); tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.want)
			}
		})
	}
}
