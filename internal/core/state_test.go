package core_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// stamps come from few numbers, so that ties are frequent.
func stamps() *rapid.Generator[core.Stamp] {
	return rapid.Custom(func(t *rapid.T) core.Stamp {
		return core.Stamp{At: rapid.Int64Range(1, 4).Draw(t, "at"), ID: rapid.Uint32Range(1, 2).Draw(t, "id")}
	})
}

// states draws states with floors, horizons, tombstones and those of Pop, which
// bear the stamp of what they took and are as old as themselves.
func states() *rapid.Generator[core.State] {
	return rapid.Custom(func(t *rapid.T) core.State {
		s := core.State{Entries: []core.Entry{}, Horizon: rapid.Int64Range(0, 5).Draw(t, "horizon")}
		if rapid.Bool().Draw(t, "cleared") {
			s.Floor = stamps().Draw(t, "floor")
		}
		for _, name := range []string{"a", "b", "c"} {
			e := core.Entry{Name: name, Stamp: stamps().Draw(t, name)}
			switch rapid.IntRange(0, 3).Draw(t, "form") {
			case 0:
				continue
			case 1:
				e.Gone = e.Stamp.At + rapid.Int64Range(0, 2).Draw(t, "gone")
			default:
				e.Value = []byte{rapid.Byte().Draw(t, "value")}
			}
			if e.Stamp.Compare(s.Floor) >= 0 { // as every state is that a fragment carries
				s.Entries = append(s.Entries, e)
			}
		}
		return s
	})
}

func TestJoinIsCommutativeAssociativeIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := states().Draw(t, "a"), states().Draw(t, "b"), states().Draw(t, "c")
		require.Equal(t, core.Join(a, b), core.Join(b, a))
		require.Equal(t, core.Join(core.Join(a, b), c), core.Join(a, core.Join(b, c)))
		require.Equal(t, a, core.Join(a, a))
		ab := core.Join(a, b)
		require.Equal(t, ab, core.Join(a, ab), "what is known already adds nothing")
		require.Equal(t, a, core.Join(a, core.State{}))
	})
}

// Of any set of writes, the join shows for each name the newest that is not
// below the floor: said here a second time, without a merge.
func TestJoinShowsTheNewestWriteOfEachName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(states(), 1, 5).Draw(t, "states")
		joined := core.State{}
		var floor core.Stamp
		for _, s := range all {
			joined = core.Join(joined, s)
			if s.Floor.Compare(floor) > 0 {
				floor = s.Floor
			}
		}
		require.Equal(t, floor, joined.Floor)
		for _, name := range []string{"a", "b", "c"} {
			var newest core.Stamp
			for _, s := range all {
				if e, ok := s.Find(name); ok && e.Stamp.Compare(newest) > 0 {
					newest = e.Stamp
				}
			}
			e, ok := joined.Find(name)
			require.Equal(t, !newest.IsZero() && newest.Compare(floor) >= 0, ok)
			if ok {
				require.Equal(t, newest, e.Stamp)
			}
		}
		require.True(t, slices.IsSortedFunc(joined.Entries, func(a, b core.Entry) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}))
	})
}

func state(entries ...core.Entry) core.State { return core.State{Entries: entries} }

func set(name string, at int64, id uint32, value byte) core.Entry {
	return core.Entry{Name: name, Stamp: core.Stamp{At: at, ID: id}, Value: []byte{value}}
}

func gone(name string, at int64, id uint32, when int64) core.Entry {
	return core.Entry{Name: name, Stamp: core.Stamp{At: at, ID: id}, Gone: when}
}

func TestJoinOfOneName(t *testing.T) {
	for name, c := range map[string]struct{ winner, loser core.Entry }{
		"the later":                      {set("k", 2, 1, 'x'), set("k", 1, 9, 'y')},
		"of one millisecond the id":      {set("k", 1, 2, 'x'), set("k", 1, 1, 'y')},
		"a later delete":                 {gone("k", 2, 1, 2), set("k", 1, 9, 'y')},
		"a later set":                    {set("k", 2, 1, 'x'), gone("k", 1, 1, 1)},
		"a pop of this very value":       {gone("k", 1, 1, 5), set("k", 1, 1, 'y')},
		"a set that the pop did not see": {set("k", 1, 2, 'x'), gone("k", 1, 1, 5)},
		"of two pops the later":          {gone("k", 1, 1, 6), gone("k", 1, 1, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			want := []core.Entry{c.winner}
			require.Equal(t, want, core.Join(state(c.winner), state(c.loser)).Entries)
			require.Equal(t, want, core.Join(state(c.loser), state(c.winner)).Entries)
		})
	}
}

func TestFloor(t *testing.T) {
	cleared := core.State{Floor: core.Stamp{At: 5, ID: 5}, Entries: []core.Entry{set("own", 5, 5, 'o')}}
	other := state(set("a", 4, 9, 'a'), set("b", 5, 4, 'b'), gone("c", 5, 4, 9), set("d", 5, 6, 'd'), set("e", 6, 1, 'e'))
	s := core.Join(other, cleared)
	var names []string
	for _, e := range s.Entries {
		names = append(names, e.Name)
	}
	require.Equal(t, []string{"d", "e", "own"}, names, "what the clearing request did not see survives it")
	require.Equal(t, cleared.Floor, s.Floor)
}

func TestStampOrder(t *testing.T) {
	a, b, c := core.Stamp{At: 1, ID: 9}, core.Stamp{At: 2, ID: 1}, core.Stamp{At: 2, ID: 2}
	require.Negative(t, a.Compare(b))
	require.Negative(t, b.Compare(c))
	require.Positive(t, c.Compare(a))
	require.Zero(t, c.Compare(c))
	require.True(t, core.Stamp{}.IsZero())
	require.False(t, a.IsZero())
}

func TestTimeIsTheInverseOfMillis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, core.MaxTime).Draw(t, "ms")
		require.Equal(t, ms, core.Millis(core.Time(ms)))
	})
}
