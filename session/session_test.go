package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestContext(t *testing.T) {
	s := sessiontest.New(t)
	ctx := session.NewContext(t.Context(), s)
	require.Same(t, s, session.From(ctx))

	type other struct{}
	inner := sessiontest.New(t)
	deeper := session.NewContext(context.WithValue(ctx, other{}, 1), inner)
	require.Same(t, inner, session.From(deeper), "the innermost counts")
	require.Same(t, s, session.From(ctx))

	found, ok := session.Lookup(deeper)
	require.True(t, ok)
	require.Same(t, inner, found)
}

func TestContextWithoutASession(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"none": t.Context(), "nil": session.NewContext(t.Context(), nil),
	} {
		found, ok := session.Lookup(ctx)
		require.False(t, ok, name)
		require.Nil(t, found, name)
		// The panic's text names both possible causes.
		require.PanicsWithValue(t, "carryon: session.From: this context has no session; wrap the handler that serves "+
			"this route: http.ListenAndServe(addr, sessions.Handler(mux)), and pass r.Context() on",
			func() { session.From(ctx) }, name)
	}
}

func TestFromAndLookupLoadNothing(t *testing.T) {
	b := &stub{}
	s, c := stubbed(t, b)
	session.From(session.NewContext(t.Context(), s))
	require.NoError(t, s.Err())
	require.Zero(t, b.loads)
	require.False(t, outcome(t, c).Touched)
}

func TestLoadRunsOnce(t *testing.T) {
	b := &stub{}
	s, c := stubbed(t, b)
	type mark struct{}
	require.NoError(t, s.Load(context.WithValue(t.Context(), mark{}, "mine")))
	require.Equal(t, "mine", b.loadCtx.Value(mark{}), "the load runs under the caller's context")
	require.NoError(t, s.Load(t.Context()))
	text.Get(s)
	s.Names()
	require.Equal(t, reason.Absent, s.Reason())
	require.Equal(t, 1, b.loads)
	o := outcome(t, c)
	require.True(t, o.Touched)
	require.False(t, o.Writes)
}

// A failed load is not an empty session.
func TestLoadThatFails(t *testing.T) {
	down := errors.New("down")
	b := &stub{loadErr: down}
	s, c := stubbed(t, b)

	_, ok := text.Get(s)
	require.False(t, ok)
	_, err := text.Lookup(s)
	require.ErrorIs(t, err, down)
	require.NotErrorIs(t, err, session.ErrNoValue)
	require.ErrorIs(t, s.Load(t.Context()), down, "a later call returns the same answer")

	text.Set(s, "v")
	words.Update(s, func([]string) []string { t.Error("f must not run on what was not loaded"); return nil })
	_, ok = text.Pop(s)
	require.False(t, ok)
	text.Delete(s)
	s.Delete("text")
	s.Clear()
	s.Renew()
	s.Destroy()
	require.False(t, s.Has("text"))
	require.Empty(t, s.Names())
	require.Empty(t, s.ID())
	require.ErrorIs(t, s.Err(), down)
	require.ErrorIs(t, s.Save(t.Context()), down)
	require.Equal(t, 1, b.loads)

	o := outcome(t, c)
	require.ErrorIs(t, o.Err, down)
	require.False(t, o.Writes)
	require.Equal(t, state.Changes{}, *o.Changes)
}

func TestSaveReportsWhatTheCommitWould(t *testing.T) {
	full := errors.New("full")
	b := &stub{saveErr: full}
	s, _ := stubbed(t, b)
	text.Set(s, "v")
	require.ErrorIs(t, s.Save(t.Context()), full)
	b.saveErr = nil
	require.NoError(t, s.Save(t.Context()))

	session.Key[func()]("f").Set(s, func() {})
	var encode *session.EncodeError
	require.ErrorAs(t, s.Save(t.Context()), &encode)
	require.Equal(t, "f", encode.Key)
}

func TestChangesAfterTheHeaderAreLate(t *testing.T) {
	changes := map[string]func(s *session.Session){
		"Set":     func(s *session.Session) { text.Set(s, "late") },
		"Update":  func(s *session.Session) { text.Update(s, func(string) string { return "late" }) },
		"Pop":     func(s *session.Session) { text.Pop(s) },
		"Delete":  func(s *session.Session) { text.Delete(s) },
		"Clear":   (*session.Session).Clear,
		"Renew":   (*session.Session).Renew,
		"Destroy": (*session.Session).Destroy,
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			b := &stub{}
			s, c := stubbed(t, b)
			text.Set(s, "early")
			before := outcome(t, c).Changes.Ops
			require.NoError(t, s.Err())

			change(s)
			require.ErrorIs(t, s.Err(), session.ErrLate)
			require.ErrorIs(t, s.Save(t.Context()), session.ErrLate)
			require.Len(t, b.late, 1)
			v, _ := text.Get(s)
			require.Equal(t, "early", v)
			require.Equal(t, before, outcome(t, c).Changes.Ops)
		})
	}
}

func TestAFirstReadAfterTheHeaderIsNoticed(t *testing.T) {
	b := &stub{}
	s, c := stubbed(t, b)
	outcome(t, c)
	text.Get(s)
	text.Get(s)
	require.Equal(t, 1, b.reads)
	require.NoError(t, s.Err())
}

func TestAValueThatCannotBeEncodedFailsTheCommit(t *testing.T) {
	s, c := stubbed(t, &stub{})
	session.Key[chan int]("c").Set(s, make(chan int))
	text.Set(s, "kept")
	session.Key[struct{ x int }]("x").Set(s, struct{ x int }{7})
	v, ok := text.Get(s)
	require.True(t, ok)
	require.Equal(t, "kept", v)
	err := outcome(t, c).Err
	require.ErrorContains(t, err, `session key "c"`)
	require.ErrorContains(t, err, `session key "x"`)
	require.Equal(t, err.Error(), s.Err().Error())
}

func TestDestroyForgetsWhatCouldNotBeEncoded(t *testing.T) {
	s, c := stubbed(t, &stub{})
	session.Key[chan int]("c").Set(s, make(chan int))
	s.Destroy()
	require.NoError(t, s.Err())
	require.NoError(t, outcome(t, c).Err)
}

func TestNamesOfKeysAreBounded(t *testing.T) {
	for name, ok := range map[string]bool{"": false, "k": true, string(make([]byte, 255)): true, string(make([]byte, 256)): false} {
		s, _ := stubbed(t, &stub{})
		session.Key[int](name).Set(s, 1)
		require.Equal(t, ok, s.Err() == nil, "%d bytes", len(name))
		require.Equal(t, ok, s.Has(name))
	}
}

func TestTheWholeLifeOfASession(t *testing.T) {
	v := newVisitor(t)
	var id string
	var created, expires time.Time

	v.visit(func(s *session.Session) {
		require.True(t, s.IsNew())
		require.Equal(t, reason.Absent, s.Reason())
		require.Empty(t, s.ID(), "nothing is written yet")
		text.Get(s)
		s.Renew()
		require.Empty(t, s.ID(), "a renewal of nothing writes nothing")
	})
	require.Empty(t, v.jar.All())

	v.visit(func(s *session.Session) {
		text.Set(s, "one")
		id = s.ID()
		require.Len(t, id, 22)
		require.True(t, s.IsNew())
		require.True(t, s.Created().IsZero())
		expires = s.Expires()
		require.WithinDuration(t, time.Now().Add(24*time.Hour), expires, time.Minute, "the end that will be sealed")
		count.Set(s, 1)
		require.Equal(t, id, s.ID())
	})
	v.visit(func(s *session.Session) {
		require.False(t, s.IsNew())
		require.Equal(t, reason.None, s.Reason())
		require.Equal(t, id, s.ID())
		require.Equal(t, []string{"count", "text"}, s.Names())
		require.True(t, s.Has("text"))
		require.False(t, s.Has("other"))
		created = s.Created()
		require.Equal(t, expires, s.Expires(), "the same as before the commit")
		require.InDelta(t, 24*time.Hour, expires.Sub(created), float64(time.Second))
		require.Equal(t, time.UTC, created.Location())
		require.WithinDuration(t, time.Now(), created, time.Minute)
	})
	v.visit(func(s *session.Session) {
		s.Renew()
		require.NotEqual(t, id, s.ID())
		require.False(t, s.IsNew())
		require.Equal(t, created, s.Created())
		id = s.ID()
	})
	v.visit(func(s *session.Session) {
		require.Equal(t, id, s.ID())
		require.Equal(t, created, s.Created())
		require.Equal(t, expires, s.Expires())
		require.Equal(t, []string{"count", "text"}, s.Names(), "Renew keeps the values")
		s.Destroy()
		require.True(t, s.IsNew())
		require.Empty(t, s.ID())
		require.Empty(t, s.Names())
		require.True(t, s.Created().IsZero())
	})
	v.visit(func(s *session.Session) {
		require.True(t, s.IsNew())
		require.Equal(t, reason.LoggedOut, s.Reason())
	})
}

func TestDestroyThenSetStartsANewSession(t *testing.T) {
	v := newVisitor(t)
	var old, id string
	v.visit(func(s *session.Session) { text.Set(s, "old"); count.Set(s, 7); old = s.ID() })
	v.visit(func(s *session.Session) {
		s.Destroy()
		text.Set(s, "goodbye")
		id = s.ID()
		require.True(t, s.IsNew())
		require.NotEqual(t, old, id)
		require.Equal(t, []string{"text"}, s.Names())
	})
	v.visit(func(s *session.Session) {
		require.False(t, s.IsNew())
		require.Equal(t, id, s.ID())
		require.Equal(t, []string{"text"}, s.Names())
	})
}

func TestClear(t *testing.T) {
	v := newVisitor(t)
	var id string
	v.visit(func(s *session.Session) { text.Set(s, "old"); count.Set(s, 7); id = s.ID() })
	v.visit(func(s *session.Session) {
		words.Set(s, []string{"set before"})
		s.Clear()
		require.Empty(t, s.Names())
		count.Set(s, 8)
		require.Equal(t, []string{"count"}, s.Names())
		require.Equal(t, id, s.ID(), "Clear keeps the session and its id")
	})
	v.visit(func(s *session.Session) {
		require.Equal(t, id, s.ID())
		require.Equal(t, []string{"count"}, s.Names())
		s.Clear()
	})
	v.visit(func(s *session.Session) {
		require.False(t, s.IsNew(), "an empty session is still one")
		require.Equal(t, id, s.ID())
		require.Empty(t, s.Names())
	})
	require.False(t, v.changed(t, (*session.Session).Clear), "clearing what is empty is no change")
}

// Clear and Renew together do what express-session calls regenerate.
func TestClearAndRenew(t *testing.T) {
	for name, regenerate := range map[string]func(s *session.Session){
		"Clear, Renew": func(s *session.Session) { s.Clear(); s.Renew() },
		"Renew, Clear": func(s *session.Session) { s.Renew(); s.Clear() },
	} {
		v := newVisitor(t)
		var old, id string
		var created time.Time
		v.visit(func(s *session.Session) { text.Set(s, "old"); count.Set(s, 7); old = s.ID() })
		v.visit(func(s *session.Session) {
			created = s.Created()
			regenerate(s)
			count.Set(s, 8)
			id = s.ID()
		})
		v.visit(func(s *session.Session) {
			require.NotEqual(t, old, s.ID(), name)
			require.Equal(t, id, s.ID(), name)
			require.Equal(t, []string{"count"}, s.Names(), name)
			require.Equal(t, created, s.Created(), name)
			require.False(t, s.IsNew(), name)
		})
	}
}

func TestWhatIsNoChange(t *testing.T) {
	v := newVisitor(t)
	v.visit(func(s *session.Session) { user.Set(s, User{Name: "张三"}); count.Set(s, 7) })
	for name, f := range map[string]func(s *session.Session){
		"reading":                    func(s *session.Session) { user.Get(s); s.Names(); s.ID() },
		"the same value":             func(s *session.Session) { user.Set(s, User{Name: "张三"}) },
		"another value and back":     func(s *session.Session) { count.Set(s, 8); count.Set(s, 7) },
		"deleted and set again":      func(s *session.Session) { count.Delete(s); count.Set(s, 7) },
		"popped and set again":       func(s *session.Session) { n, _ := count.Pop(s); count.Set(s, n) },
		"deleting what is not there": func(s *session.Session) { text.Delete(s); s.Delete("nothing"); text.Pop(s) },
		"set and deleted":            func(s *session.Session) { text.Set(s, "v"); text.Delete(s) },
		"set and popped":             func(s *session.Session) { text.Set(s, "v"); text.Pop(s) },
		"an update to the same":      func(s *session.Session) { count.Update(s, func(n int) int { return n }) },
		"another type, the same":     func(s *session.Session) { session.Key[uint8]("count").Set(s, 7) },
	} {
		require.False(t, v.changed(t, f), name)
	}
	require.True(t, v.changed(t, func(s *session.Session) { count.Set(s, 9) }))
}

func TestDeleteByName(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(count, 1), sessiontest.With(text, "v"))
	s.Delete("count")
	require.Equal(t, []string{"text"}, s.Names())
	require.False(t, s.Has("count"))
	_, ok := count.Get(s)
	require.False(t, ok)
}
