package sessiontest_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestNewWithoutOptions(t *testing.T) {
	s := sessiontest.New(t)
	require.True(t, s.IsNew())
	require.Empty(t, s.ID())
	require.Empty(t, s.Names())
	require.Equal(t, reason.Absent, s.Reason())
	require.True(t, s.Created().IsZero())

	user.Set(s, "张三")
	require.Len(t, s.ID(), 22)
	require.Equal(t, []string{"user"}, s.Names())
	require.NoError(t, s.Save(t.Context()))
}

func TestNewWithValues(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(visits, 2), sessiontest.With(user, "张三"), sessiontest.With(visits, 3))
	require.False(t, s.IsNew())
	require.Equal(t, reason.None, s.Reason())
	require.Equal(t, []string{"user", "visits"}, s.Names())
	n, ok := visits.Get(s)
	require.True(t, ok)
	require.Equal(t, 3, n, "the last option counts")
	require.WithinDuration(t, time.Now(), s.Created(), time.Minute)

	id := s.ID()
	s.Renew()
	require.NotEqual(t, id, s.ID())
	s.Destroy()
	require.True(t, s.IsNew())
	require.Empty(t, s.Names())
}

func TestNewAtATime(t *testing.T) {
	at := time.Date(2025, 6, 15, 12, 0, 0, 999_000_000, time.UTC)
	s := sessiontest.New(t, sessiontest.Created(at), sessiontest.With(visits, 1))
	require.Equal(t, at, s.Created())
	require.Equal(t, at.Add(sessiontest.Lifetime), s.Expires())
	require.Equal(t, []string{"visits"}, s.Names())

	s = sessiontest.New(t, sessiontest.Created(at))
	require.False(t, s.IsNew())
	require.Empty(t, s.Names())
}

func TestNewRefused(t *testing.T) {
	for _, why := range []reason.Reason{reason.Expired, reason.ExpiredIdle, reason.UnknownKey, reason.LoggedOut, reason.Absent} {
		s := sessiontest.New(t, sessiontest.Refused(why))
		require.Equal(t, why, s.Reason())
		require.True(t, s.IsNew())
		require.NoError(t, s.Err())
	}
}

func TestNewWithALoadError(t *testing.T) {
	down := errors.New("the store is down")
	s := sessiontest.New(t, sessiontest.With(user, "张三"), sessiontest.LoadError(down))
	_, ok := user.Get(s)
	require.False(t, ok)
	require.ErrorIs(t, s.Load(t.Context()), down)
	user.Set(s, "李四")
	require.ErrorIs(t, s.Err(), down)
	require.Empty(t, s.Names())
}

func TestRequestCarriesTheSession(t *testing.T) {
	s := sessiontest.New(t)
	r := httptest.NewRequest("GET", "/", nil)
	require.Same(t, s, session.From(sessiontest.Request(r, s).Context()))
	_, ok := session.Lookup(r.Context())
	require.False(t, ok, "the request itself is left as it was")
}

// testingT notes what a test would have been told.
type testingT struct {
	testing.TB
	failed  bool
	cleanup []func()
}

func (t *testingT) Errorf(string, ...any) { t.failed = true }
func (t *testingT) Cleanup(f func())      { t.cleanup = append(t.cleanup, f) }

func TestNewFailsTheTestForAValueThatCannotBeEncoded(t *testing.T) {
	inner := &testingT{TB: t}
	s := sessiontest.New(inner)
	session.Key[chan int]("c").Set(s, make(chan int))
	require.Error(t, s.Err())
	require.False(t, inner.failed)
	for _, f := range inner.cleanup {
		f()
	}
	require.True(t, inner.failed)
}
