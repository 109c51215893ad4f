package session_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestAllYieldsEveryValueInOrder(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(text, "brought"), sessiontest.With(words, []string{"a"}))
	count.Set(s, 7)
	words.Delete(s)
	got := map[string]any{}
	var names []string
	for name, value := range s.All() {
		names = append(names, name)
		got[name] = value
	}
	require.Equal(t, s.Names(), names)
	require.Equal(t, map[string]any{"count": int64(7), "text": "brought"}, got)
}

func TestAllStopsWhereTheLoopDoes(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(text, "a"), sessiontest.With(count, 1))
	n := 0
	for range s.All() {
		n++
		break
	}
	require.Equal(t, 1, n)
}

// A map with keys that are not strings has no form without its type.
func TestAllYieldsAnErrorForAValueThatNeedsItsType(t *testing.T) {
	const byNumber session.Key[map[int]string] = "by number"
	s := sessiontest.New(t)
	byNumber.Set(s, map[int]string{1: "secret"})
	for name, value := range s.All() {
		require.Equal(t, "by number", name)
		err, ok := value.(error)
		require.True(t, ok)
		var failed *session.DecodeError
		require.True(t, errors.As(err, &failed))
		require.NotContains(t, err.Error(), "secret")
	}
	require.NoError(t, s.Err())
}

func TestAllOfASessionThatDidNotLoadIsEmpty(t *testing.T) {
	s := sessiontest.New(t, sessiontest.LoadError(session.ErrStoreDown))
	for range s.All() {
		t.Fatal("there is nothing")
	}
}

func TestGetOrReturnsTheValueOrTheDefault(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(count, 0))
	require.Equal(t, 0, count.GetOr(s, 5), "zero is a value")
	require.Equal(t, "none", text.GetOr(s, "none"))
	require.Equal(t, "none", session.Key[string]("count").GetOr(s, "none"), "it is not a string")
}
