package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestTooLargeErrorMatchesItsSentinel(t *testing.T) {
	var err error = &session.TooLargeError{Limit: "cookie bytes", Max: 4096, Need: 5000, Session: 3600, Largest: []string{"cart (3120)"}}
	require.ErrorIs(t, err, session.ErrTooLarge)
	require.NotErrorIs(t, err, session.ErrLate)
	for _, part := range []string{"3600", "5000", "4096", "cookie bytes", "cart (3120)"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, (&session.TooLargeError{}).Error(), "largest")
}

func TestLookupSaysWhyThereIsNone(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(text, "seven"))
	_, err := count.Lookup(s)
	require.ErrorIs(t, err, session.ErrNoValue)
	require.ErrorContains(t, err, `"count"`)

	wrong := session.Key[int]("text")
	n, err := wrong.Lookup(s)
	require.Zero(t, n)
	var decode *session.DecodeError
	require.ErrorAs(t, err, &decode)
	require.Equal(t, "text", decode.Key)
	require.Error(t, errors.Unwrap(err))
	require.NotErrorIs(t, err, session.ErrNoValue)
}

// A half-decoded value is none.
func TestWhatDoesNotDecodeGivesTheZeroValue(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(session.Key[map[string]any]("user"), map[string]any{"Name": "张三", "Admin": "yes"}))
	u, ok := user.Get(s)
	require.False(t, ok)
	require.Zero(t, u)
	u, ok = user.Pop(s)
	require.False(t, ok)
	require.Zero(t, u)
	require.False(t, s.Has("user"), "Pop removes it all the same")
}

// What no longer decodes is reported to who asks, and fails no commit.
func TestWhatDoesNotDecodeFailsNoCommit(t *testing.T) {
	v := newVisitor(t)
	v.visit(func(s *session.Session) { text.Set(s, "seven"); count.Set(s, 1) })
	wrong := session.Key[int]("text")
	require.False(t, v.changed(t, func(s *session.Session) {
		_, ok := wrong.Get(s)
		require.False(t, ok)
		require.NoError(t, s.Err())
		require.NoError(t, s.Save(t.Context()))
	}))
	require.True(t, v.changed(t, func(s *session.Session) { wrong.Get(s); count.Set(s, 2) }))
	v.visit(func(s *session.Session) {
		kept, _ := text.Get(s)
		require.Equal(t, "seven", kept, "it stays until it is set or deleted")
	})
	require.True(t, v.changed(t, func(s *session.Session) {
		wrong.Update(s, func(n int) int { return n + 1 })
		require.NoError(t, s.Err())
	}), "an update begins anew, as Get and Set would")
	v.visit(func(s *session.Session) {
		n, ok := wrong.Get(s)
		require.True(t, ok)
		require.Equal(t, 1, n)
	})
}

// Errors end in logs, where no visitor's data belongs.
func TestErrorsCarryNoValue(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With[any]("secret", map[string]any{
		"Name": "Zhang-0815", "N": 77812, "At": "Zhang-0815",
	}))
	for name, err := range map[string]error{
		"text":     lookup[struct{ Name int }](s),
		"overflow": lookup[struct{ N int8 }](s),
		"time":     lookup[struct{ At time.Time }](s),
		"own":      lookup[struct{ Name gossip }](s),
		"bool":     lookup[bool](s),
	} {
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "0815", name)
		require.NotContains(t, err.Error(), "77812", name)
		require.ErrorContains(t, err, "secret", name)
	}
	require.ErrorContains(t, lookup[struct{ N int8 }](s), "int8", "the types are what helps")
	require.ErrorContains(t, lookup[struct{ Name int }](s), "Name", "and the field")
}

func lookup[T any](s *session.Session) error {
	_, err := session.Key[T]("secret").Lookup(s)
	return err
}

func TestEncodeErrorsCarryNoValue(t *testing.T) {
	s, _ := stubbed(t, &stub{})
	session.Key[gossip]("g").Set(s, "Zhang-0815")
	require.ErrorContains(t, s.Err(), `"g"`)
	require.NotContains(t, s.Err().Error(), "0815")
	var own *gossipError
	require.ErrorAs(t, s.Err(), &own, "who wants the cause can have it")
}

// gossip is a type whose own errors tell all.
type gossip string

type gossipError struct{ told string }

func (e *gossipError) Error() string { return "I was given " + e.told }

func (g gossip) MarshalCBOR() ([]byte, error)     { return nil, &gossipError{string(g)} }
func (g *gossip) UnmarshalCBOR(data []byte) error { return &gossipError{string(data)} }
