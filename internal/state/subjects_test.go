package state_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/state"
)

func TestSubjectsKeepTheirOrderAndSkipRepeats(t *testing.T) {
	s, err := state.NewSubjects("b", "a", "b", "iss|sub", "a")
	require.NoError(t, err)
	var all []string
	for name := range s.All() {
		all = append(all, string(name))
	}
	require.Equal(t, []string{"b", "a", "iss|sub"}, all)
	require.Equal(t, "b", string(s.First()))
	require.Nil(t, state.Subjects(nil).First())
	for range state.Subjects(nil).All() {
		t.Fatal("nil has no subjects")
	}
}

func TestSubjectsAreBounded(t *testing.T) {
	longest := strings.Repeat("x", state.MaxSubject)
	for _, names := range [][]string{{""}, {"a", ""}, {longest + "x"}, {"a", longest + "x"}, {"a", "b", "c", "d", "e"}} {
		_, err := state.NewSubjects(names[0], names[1:]...)
		require.ErrorIs(t, err, state.ErrSubjects, names)
	}
	s, err := state.NewSubjects(longest, "\x00", "c|d", "c", longest)
	require.NoError(t, err)
	require.Len(t, slices.Collect(s.All()), state.MaxSubjects)
}

// Names with separators or item heads inside stay apart.
func TestSubjectsCannotBeConfused(t *testing.T) {
	var seen [][]byte
	for _, names := range [][]string{{"a|b"}, {"a", "b"}, {"b", "a"}, {"a", "|b"}, {"aAb"}, {"a\x41b", "c"}, {"a", "\x41bc"}} {
		s, err := state.NewSubjects(names[0], names[1:]...)
		require.NoError(t, err)
		for _, other := range seen {
			require.False(t, bytes.Equal(other, s), names)
		}
		seen = append(seen, s)
	}
}

func TestReadingSubjectsAllocatesNothing(t *testing.T) {
	h := head()
	allocations := func() float64 {
		plain, total := h.Append(nil), 0
		return testing.AllocsPerRun(100, func() {
			c, err := state.Decode(plain)
			if err != nil {
				panic(err)
			}
			for name := range c.Subjects.All() {
				total += len(name)
			}
		})
	}
	without := allocations()
	h.Subjects, _ = state.NewSubjects("iss|sub", "iss|sid")
	require.Equal(t, without, allocations())
}
