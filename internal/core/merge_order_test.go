package core_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

func TestMergeKeepsTheClockAndTheCounts(t *testing.T) {
	a := fragment(1, created+5, set("a", created+10, 1, 'a'))
	b := fragment(2, created, set("b", created+90, 1, 'b'))
	v := core.Merge([]*core.Fragment{a, delta(b, set("n", created+99, 1, 'n'))}, 3, later, 0)
	require.Equal(t, created+99, v.MaxAt, "needs and the dead count: what is written next must be above all")
	require.Equal(t, created+5, v.MaxBorn)
	require.Equal(t, 3, v.Unopened)
	require.Equal(t, later, v.Loaded)
	require.Equal(t, later, v.Seen)
	require.True(t, v.Any())
	require.Equal(t, 1, v.Count(core.Dead))
	require.Equal(t, 2, v.Count(core.Dead, core.Accepted))
	empty := core.Merge(nil, 0, later, 0)
	require.False(t, empty.Any())
	require.Nil(t, empty.Head)
}

// jars draws fragments of up to three generations of few stamps and names, so
// that every rule has to decide something.
func jars() *rapid.Generator[[]*core.Fragment] {
	return rapid.Custom(func(t *rapid.T) []*core.Fragment {
		heads := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *core.Fragment {
			f := fragment(rapid.ByteRange(1, 3).Draw(t, "root"), created)
			f.Born = core.Stamp{At: created + rapid.Int64Range(0, 2).Draw(t, "born"), ID: uint32(f.Root[0])}
			f.Orphan = rapid.IntRange(0, 3).Draw(t, "orphan") == 0
			if rapid.IntRange(0, 5).Draw(t, "ended") == 0 {
				f.End = later
			}
			return f
		}), 1, 3).Draw(t, "generations")
		byRoot := map[core.Root]*core.Fragment{}
		for _, f := range heads {
			byRoot[f.Root] = f
		}
		var jar []*core.Fragment
		for range rapid.IntRange(1, 6).Draw(t, "fragments") {
			head := byRoot[heads[rapid.IntRange(0, len(heads)-1).Draw(t, "generation")].Root]
			f := with(head, func(f *core.Fragment) { drawFragment(t, f) })
			if !slices.ContainsFunc(jar, func(g *core.Fragment) bool { return g.Suffix == f.Suffix }) {
				jar = append(jar, f)
			}
		}
		return jar
	})
}

func drawFragment(t *rapid.T, f *core.Fragment) {
	f.Seen = later + rapid.Int64Range(0, 3).Draw(t, "seen")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		f.Kind = core.Logout
		return
	case 1:
		f.Kind = core.SeenMark
		return
	}
	at := rapid.Int64Range(0, 6)
	if rapid.Bool().Draw(t, "cleared") {
		f.Floor = core.Stamp{At: created + at.Draw(t, "floor"), ID: 1}
	}
	if rapid.Bool().Draw(t, "collected") {
		f.Horizon = created + at.Draw(t, "horizon")
	}
	for _, name := range []string{"a", "b", "c"} {
		// One stamp names one write: its value follows from it.
		s := core.Stamp{At: created + at.Draw(t, name), ID: rapid.Uint32Range(1, 2).Draw(t, "id")}
		switch rapid.IntRange(0, 5).Draw(t, "form") {
		case 0, 1:
			if s.Compare(f.Floor) >= 0 {
				f.Entries = append(f.Entries, core.Entry{Name: name, Stamp: s, Value: []byte{byte(s.At), byte(s.ID)}})
			}
		case 2:
			if s.Compare(f.Floor) >= 0 {
				f.Entries = append(f.Entries, core.Entry{Name: name, Stamp: s, Gone: s.At + rapid.Int64Range(0, 1).Draw(t, "gone")})
			}
		case 3:
			f.Needs = append(f.Needs, core.Need{Name: name, Stamp: s, Gone: rapid.Bool().Draw(t, "need gone")})
		}
	}
}

func TestMergeDoesNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jar := jars().Draw(t, "jar")
		v := core.Merge(slices.Clone(jar), 0, later, 0)
		other := core.Merge(rapid.Permutation(jar).Draw(t, "order"), 0, later, 0)
		require.Equal(t, summarise(&v), summarise(&other))
	})
}

// What is covered or late adds nothing: without it the session is the same.
func TestMergeWithoutWhatMayBeExpired(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := core.Merge(jars().Draw(t, "jar"), 0, later, 0)
		if v.Verdict != core.Present {
			return
		}
		var rest []*core.Fragment
		for i, f := range v.Fragments {
			if v.Fates[i] != core.Covered && v.Fates[i] != core.Late {
				rest = append(rest, f)
			}
		}
		w := core.Merge(rest, 0, later, 0)
		require.Equal(t, core.Present, w.Verdict)
		require.Equal(t, summarise(&v).Values, summarise(&w).Values)
		require.Equal(t, v.State.Floor, w.State.Floor)
		require.Equal(t, v.State.Horizon, w.State.Horizon)
	})
}
