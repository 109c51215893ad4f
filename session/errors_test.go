package session_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestTooLargeErrorMatchesItsSentinel(t *testing.T) {
	var err error = &session.TooLargeError{Limit: session.LimitRequestBytes, Max: 8000, Need: 9120, Others: 1800, Session: 3600, Platform: "nginx",
		Largest: []session.EntrySize{{Name: "cart", Bytes: 3120}, {Name: "prefs", Bytes: 210}}}
	require.ErrorIs(t, err, session.ErrTooLarge)
	require.NotErrorIs(t, err, session.ErrLate)
	for _, part := range []string{`"nginx"`, "needs 9120 of 8000 request bytes", "other cookies: 1800 bytes", `"cart" (3120), "prefs" (210)`, "Config.Fallback"} {
		require.ErrorContains(t, err, part)
	}
	bare := (&session.TooLargeError{Limit: session.LimitRecordBytes, Need: 7}).Error()
	for _, part := range []string{"largest", "platform \"", "other cookies", " of 0"} {
		require.NotContains(t, bare, part)
	}
	require.Contains(t, bare, "needs 7 record bytes")
}

func TestTooManyNewEntriesSaysWhatToDo(t *testing.T) {
	err := &session.TooLargeError{Limit: session.LimitNewEntries, Need: 14, Max: 12, Largest: []session.EntrySize{{Name: "a"}, {Name: "b"}}}
	require.ErrorIs(t, err, session.ErrTooLarge)
	require.ErrorContains(t, err, "2 more do not fit beside 12 in flight")
	require.ErrorContains(t, err, "one map under one key")
}

// Names of entries may come from visitors, so control characters must be quoted.
func TestErrorsQuoteNames(t *testing.T) {
	name := "x\n\x1b[2J\u202e"
	for _, err := range []error{
		&session.TooLargeError{Limit: session.LimitRequestBytes, Largest: []session.EntrySize{{Name: name}}},
		&session.TooLargeError{Limit: session.LimitRequestBytes, Platform: name},
		&session.TooLargeError{Limit: session.LimitNewEntries, Largest: []session.EntrySize{{Name: name}}},
		&session.EncodeError{Key: name, Err: errors.New("x")},
		&session.DecodeError{Key: name, Err: errors.New("x")},
	} {
		for _, c := range "\n\x1b\u202e" {
			require.NotContains(t, err.Error(), string(c), "%T", err)
		}
	}
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

// A value that decodes in part is not returned.
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

// A value that does not decode is reported to its reader and does not fail the commit.
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
}

// An update of a value that does not decode is refused, because it would start over
// from nothing. The value stays. A program can delete it first.
func TestUpdateOfWhatDoesNotDecodeIsRefused(t *testing.T) {
	v := newVisitor(t)
	v.visit(func(s *session.Session) { text.Set(s, "seven"); count.Set(s, 1) })
	wrong := session.Key[int]("text")
	answer := v.visit(func(s *session.Session) {
		wrong.Update(s, func(int) int { t.Error("f must not run"); return 1 })
		count.Set(s, 2)
		var decode *session.DecodeError
		require.ErrorAs(t, s.Err(), &decode)
		require.Equal(t, "text", decode.Key)
	})
	require.Equal(t, http.StatusInternalServerError, answer.StatusCode)
	require.Empty(t, answer.Header["Set-Cookie"])
	v.visit(func(s *session.Session) {
		sessiontest.Holds(t, s, text, "seven")
		sessiontest.Holds(t, s, count, 1)
	})
	require.True(t, v.changed(t, func(s *session.Session) {
		wrong.Delete(s)
		wrong.Update(s, func(n int) int { return n + 1 })
	}))
	v.visit(func(s *session.Session) { sessiontest.Holds(t, s, wrong, 1) })
}

// Each value that does not decode is reported to the backend by name.
func TestWhatDoesNotDecodeIsTold(t *testing.T) {
	b := &stub{}
	s, _ := stubbed(t, b)
	text.Set(s, "seven")
	wrong := session.Key[int]("text")
	wrong.Get(s)
	_, err := wrong.Lookup(s)
	require.Error(t, err)
	wrong.Update(s, func(int) int { return 1 })
	require.Equal(t, []string{"text", "text", "text"}, b.odd)
	text.Get(s)
	require.Len(t, b.odd, 3)
}

// Errors are logged, so they must not contain visitors' data.
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

// gossip is a type whose encoding errors contain the value.
type gossip string

type gossipError struct{ told string }

func (e *gossipError) Error() string { return "I was given " + e.told }

func (g gossip) MarshalCBOR() ([]byte, error)     { return nil, &gossipError{string(g)} }
func (g *gossip) UnmarshalCBOR(data []byte) error { return &gossipError{string(data)} }
