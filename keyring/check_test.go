package keyring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// problems returns the texts, with the prefix "LOSES " if visitors lose their
// sessions.
func problems(list []Problem) (texts []string) {
	for _, p := range list {
		text := p.String()
		if p.Loses {
			text = "LOSES " + text
		}
		texts = append(texts, text)
	}
	return texts
}

// Prefixes of texts about keys 1 to 4.
const (
	k1 = "key ab893e9c "
	k2 = "key 127db18c "
	k3 = "key 7f35a91f "
)

func TestCheck(t *testing.T) {
	p := Policy{ActivateIn: hour, Overlap: 100 * hour, Lifetime: 24 * hour}
	period := p
	period.Period = 48 * hour
	tests := []struct {
		name  string
		spans []keySpan // all made at hour 0
		now   float64
		p     Policy
		want  []string
	}{
		{"one key", []keySpan{{n: 1}}, 5, p, nil},
		{"a good rotation", []keySpan{{1, 0, 80}, {2, 10, 0}}, 5, p, nil},
		{"an expiry before the sessions end", []keySpan{{1, 0, 33}, {2, 10, 0}}, 5, p,
			[]string{"LOSES " + k1 + "opens for only 23h after it has retired, less than the longest lifetime of a session, 24h"}},
		{"no lifetime is known", []keySpan{{1, 0, 33}, {2, 10, 0}}, 5, Policy{}, nil},
		{"staged for a moment", []keySpan{{1, -50, 80}, {2, 0.5, 0}}, 0.25, p,
			[]string{"LOSES " + k2 + "is staged for 30m, less than the 1h that servers may take to see it; they cannot open what it seals until then"}},
		{"that is over", []keySpan{{1, -50, 80}, {2, 0.5, 0}}, 3, p, nil},
		{"an open end", []keySpan{{1, 0, 0}, {2, 10, 0}}, 20, p, []string{k1 + "opens for ever after it has retired"}},
		{"expired", []keySpan{{1, -60, 0.5}, {2, -50, 0}}, 20, p, []string{k1 + "has expired; remove it with: carryon keys prune FILE"}},
		{"a clock that is behind", []keySpan{{n: 1, active: 2}}, 1, p,
			[]string{k1 + "becomes active at 2026-01-31T14:00:00Z and seals already, as there is no other; is the clock right?"}},
		{"a clock that is far behind", []keySpan{{1, -90, 80}, {2, -50, 0}}, -2, p,
			[]string{k1 + "was made at 2026-01-31T12:00:00Z, which has not come yet; is the clock right?",
				k2 + "was made at 2026-01-31T12:00:00Z, which has not come yet; is the clock right?"}},
		{"for years", []keySpan{{n: 1}}, 2*365*24 + 1, p, []string{k1 + "seals for more than two years; rotate"}},
		{"in time", []keySpan{{n: 1}}, 48, period, nil},
		{"overdue", []keySpan{{n: 1}}, 49, period, []string{k1 + "should have retired at 2026-02-02T12:00:00Z; is the job that rotates still running?"}},
		{"just in time", []keySpan{{1, 0, 200}, {2, 50, 0}}, 49, period, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := exampleRing(t, tt.spans...).Check(at(tt.now), tt.p)
			require.NoError(t, err)
			require.Equal(t, tt.want, problems(list))
		})
	}
	for _, bad := range []Policy{{Overlap: hour, Lifetime: hour}, {Period: hour / 6}} {
		_, err := mustGenerate(t, day).Check(day, bad)
		require.Error(t, err)
		_, err = mustGenerate(t, day).CheckNext(mustGenerate(t, day), day, bad)
		require.Error(t, err)
	}
}

func TestCheckOfACrowdedRing(t *testing.T) {
	ring := mustGenerate(t, day)
	for i := range MaxKeys * 3 / 4 {
		var err error
		ring, _, err = ring.Rotate(at(float64(2*i)), Policy{})
		require.NoError(t, err)
	}
	list, err := ring.Check(at(400), Policy{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Contains(t, list[0].Text, "is one of 193, and a ring holds at most 256")
}

// Each wrong order of steps is reported.
func TestCheckNext(t *testing.T) {
	p := Policy{ActivateIn: hour, Overlap: 100 * hour, Lifetime: 24 * hour}
	old := []keySpan{{1, -50, 50}, {2, -5, 90}, {3, 20, 0}}
	rest := func(more ...keySpan) []keySpan { return append([]keySpan{{1, -50, 50}, {2, -5, 90}}, more...) }
	tests := []struct {
		name string
		old  []keySpan
		next []keySpan
		dead []Dead
		now  float64
		want []string
	}{
		{"the same", old, old, nil, 5, nil},
		{"one more", old, append(append([]keySpan(nil), old[:2]...), keySpan{3, 20, 120}, keySpan{4, 40, 0}), nil, 5, nil},
		{"one more, at once", []keySpan{{n: 1, active: -50}}, []keySpan{{1, -50, 50}, {2, 5, 0}}, nil, 5,
			[]string{"LOSES " + k2 + "is new and would seal from 2026-01-31T17:00:00Z on; servers take up to 1h to see it, so let it become active at 2026-01-31T18:00:00Z or later"}},
		{"another ring", []keySpan{{1, -9, 50}, {2, -5, 0}}, []keySpan{{n: 3, active: -9}}, nil, 5, []string{
			"LOSES " + k1 + "is retired and would be missing: sessions that it sealed are not recognised; safe from 2026-02-01T08:00:00Z on",
			"LOSES " + k2 + "is active and would be missing: sessions that it sealed are not recognised",
			"LOSES " + k3 + "is new and would seal from 2026-01-31T17:00:00Z on; servers take up to 1h to see it, so let it become active at 2026-01-31T18:00:00Z or later"}},
		{"a retired one is gone", []keySpan{{1, -50, 0}, {2, -5, 0}}, []keySpan{{n: 2, active: -5}}, nil, 5,
			[]string{"LOSES " + k1 + "is retired and would be missing: sessions that it sealed are not recognised; safe from 2026-02-01T08:00:00Z on"}},
		{"a retired one is gone, when its sessions have ended", []keySpan{{1, -50, 90}, {2, -5, 0}}, []keySpan{{n: 2, active: -5}}, nil, 20, nil},
		{"a staged one is gone, in time", old, []keySpan{{1, -50, 50}, {2, -5, 0}}, nil, 19, nil},
		{"a staged one is gone, too late", old, []keySpan{{1, -50, 50}, {2, -5, 0}}, nil, 19.5,
			[]string{"LOSES " + k3 + "is staged and would be missing: sessions that it sealed are not recognised"}},
		{"a staged one begins earlier, and is known", old, rest(keySpan{3, 10, 0}), nil, 5, nil},
		{"a staged one begins at once, and was just made", []keySpan{{1, -50, 50}, {2, 2, 0}}, []keySpan{{1, -50, 50}, {2, 0.5, 0}}, nil, 0.5,
			[]string{"LOSES " + k2 + "would seal from 2026-01-31T12:30:00Z on, and servers may take until 2026-01-31T13:00:00Z to see it; safe from 2026-01-31T13:00:00Z on"}},
		{"one expires early", old, []keySpan{{1, -50, 4}, {2, -5, 90}, {3, 20, 0}}, nil, 5, []string{
			"LOSES " + k1 + "is retired and would expire at once: what it sealed is void; safe from 2026-02-01T08:00:00Z on",
			k1 + "has expired; remove it with: carryon keys prune FILE"}},
		{"one goes back", []keySpan{{1, -50, 90}, {2, -5, 0}}, []keySpan{{1, -50, 90}, {2, 20, 0}}, nil, 5,
			[]string{k1 + "has retired and would seal again"}},
		{"revoked", old, rest(), []Dead{{exampleKey(3).id, Revoked, day}}, 5, nil},
		{"expired is due", old, old, nil, 60, []string{k1 + "has expired; remove it with: carryon keys prune FILE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next := tt.next
			if tt.dead != nil {
				next[len(next)-1].expires = 0
			}
			ring := exampleRing(t, next...)
			ring, err := newRing(ring.keys, tt.dead)
			require.NoError(t, err)
			list, err := exampleRing(t, tt.old...).CheckNext(ring, at(tt.now), p)
			require.NoError(t, err)
			require.Equal(t, tt.want, problems(list))
		})
	}
}

func TestCheckNextOfRevocations(t *testing.T) {
	p := Policy{ActivateIn: hour, Lifetime: 24 * hour}
	old := exampleRing(t, keySpan{1, -50, 50}, keySpan{2, -5, 0})
	next, _, err := old.Revoke(exampleKey(1).id, at(5))
	require.NoError(t, err)
	list, err := old.CheckNext(next, at(5), p)
	require.NoError(t, err)
	require.Equal(t, []string{"LOSES " + k1 + "is retired and would be revoked: what it sealed is void; safe from 2026-02-01T08:00:00Z on"}, problems(list))

	list, err = next.CheckNext(old, at(5), p)
	require.NoError(t, err)
	require.Equal(t, []string{"LOSES " + k1 + "is revoked in the old ring and would come back; servers that have that ring remove its cookies"}, problems(list))

	next, change, err := old.Revoke(exampleKey(2).id, at(5))
	require.NoError(t, err)
	list, err = old.CheckNext(next, at(5), p)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Contains(t, list[0].Text, k2+"is active and would be revoked")
	require.Equal(t, change.Added.ID(), list[1].ID, "the replacement seals before every replica has it")
	require.Contains(t, list[1].Text, "is new and would seal from")

	// If every replica has the staged key, no replica sees an unknown one.
	old = exampleRing(t, keySpan{1, -50, 50}, keySpan{2, -5, 90}, keySpan{3, 20, 0})
	next, _, err = old.Revoke(exampleKey(2).id, at(5))
	require.NoError(t, err)
	list, err = old.CheckNext(next, at(5), p)
	require.NoError(t, err)
	require.Len(t, list, 1)
}
