package session_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/session"
)

// model is the expected session: a map of values and an id.
type model struct {
	values map[string]int
	exists bool   // the visitor has a session
	id     string // of it; "" where only the next request can tell
}

// step is one call by a handler, applied to the session and to the model.
type step struct {
	name string
	do   func(t *rapid.T, s *session.Session, m *model)
}

func steps() []step {
	key := rapid.SampledFrom([]session.Key[int]{"a", "b", "c", "键"})
	number := rapid.IntRange(0, 3)
	return []step{
		{"Set", func(t *rapid.T, s *session.Session, m *model) {
			k, n := key.Draw(t, "key"), number.Draw(t, "n")
			k.Set(s, n)
			m.values[string(k)] = n
		}},
		{"Update", func(t *rapid.T, s *session.Session, m *model) {
			k := key.Draw(t, "key")
			k.Update(s, func(n int) int { return n + 1 })
			m.values[string(k)]++
		}},
		{"Pop", func(t *rapid.T, s *session.Session, m *model) {
			k := key.Draw(t, "key")
			n, ok := k.Pop(s)
			want, had := m.values[string(k)]
			require.Equal(t, had, ok)
			require.Equal(t, want, n)
			delete(m.values, string(k))
		}},
		{"Delete", func(t *rapid.T, s *session.Session, m *model) {
			k := key.Draw(t, "key")
			k.Delete(s)
			delete(m.values, string(k))
		}},
		{"Clear", func(_ *rapid.T, s *session.Session, m *model) { s.Clear(); clear(m.values) }},
		{"Renew", func(t *rapid.T, s *session.Session, m *model) {
			before := s.ID()
			s.Renew()
			if before != "" {
				require.NotEqual(t, before, s.ID())
			}
			m.id = ""
		}},
		{"Destroy", func(t *rapid.T, s *session.Session, m *model) {
			s.Destroy()
			*m = model{values: map[string]int{}}
			require.Empty(t, s.ID())
			require.True(t, s.IsNew())
		}},
	}
}

// agree compares the results of all reading methods with the model.
func agree(t *rapid.T, s *session.Session, m *model) {
	require.NoError(t, s.Err())
	require.Equal(t, slices.Sorted(maps.Keys(m.values)), s.Names())
	for _, k := range []session.Key[int]{"a", "b", "c", "键"} {
		want, had := m.values[string(k)]
		n, ok := k.Get(s)
		require.Equal(t, had, ok, k)
		require.Equal(t, want, n, k)
		require.Equal(t, had, s.Has(string(k)), k)
	}
	require.Equal(t, !m.exists, s.IsNew())
	if m.id != "" {
		require.Equal(t, m.id, s.ID())
	}
	if m.exists || len(m.values) > 0 {
		require.Len(t, s.ID(), 22)
	} else {
		require.Empty(t, s.ID())
	}
}

// TestSessionIsAMap sends requests with random steps, one after the other, and
// compares the session with a map after each step.
func TestSessionIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := newVisitor(t)
		m := model{values: map[string]int{}}
		for visit := range rapid.IntRange(1, 6).Draw(t, "visits") {
			status := v.visit(func(s *session.Session) {
				agree(t, s, &m)
				for range rapid.IntRange(0, 6).Draw(t, "steps") {
					all := steps()
					st := all[rapid.IntRange(0, len(all)-1).Draw(t, "step")]
					t.Logf("visit %d: %s", visit, st.name)
					st.do(t, s, &m)
					agree(t, s, &m)
				}
				m.id = s.ID()
			}).StatusCode
			require.Equal(t, 200, status)
			m.exists = m.exists || len(m.values) > 0
		}
		require.LessOrEqual(t, len(v.jar.All()), 1+4, "a head, and a cell for each name: %v", v.jar.Names())
	})
}
