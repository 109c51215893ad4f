package sessiontest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// Lifetime is the absolute lifetime of the sessions of [New]: the default of
// the middleware.
const Lifetime = 24 * time.Hour

// Option says what the session of [New] is like.
type Option func(testing.TB, *visit)

// visit stands in for the middleware: it is where the session comes from.
type visit struct {
	core    core.Core
	view    core.View
	head    core.Fragment
	loadErr error
}

// New returns a session for a handler's test, without keys, cookies or a
// middleware. Without options it is that of a visitor who brought none. What the
// handler did is seen on the session itself: user.Get(s), s.IsNew(), s.ID().
//
// A value that cannot be encoded fails the test at its end, as it would fail the
// response. There are no limits of size: whether a session fits its cookies is
// seen in a test with the middleware and a [Jar].
func New(t testing.TB, options ...Option) *session.Session {
	t.Helper()
	v := &visit{view: core.View{Verdict: core.Absent}}
	v.head = core.Fragment{Kind: core.Data, Root: core.NewRoot()}
	v.begin(time.Now())
	for _, option := range options {
		option(t, v)
	}
	v.core.Init(v)
	s := (*session.Session)(&v.core)
	t.Cleanup(func() {
		if err := s.Err(); err != nil && v.loadErr == nil {
			t.Errorf("the session of this test would end in an error page: %v", err)
		}
	})
	return s
}

// Request returns a shallow copy of r in whose context session.From finds s.
func Request(r *http.Request, s *session.Session) *http.Request {
	return r.WithContext(session.NewContext(r.Context(), s))
}

// With has the visitor bring a session that holds a value under key.
func With[T any](key session.Key[T], value T) Option {
	return func(t testing.TB, v *visit) {
		t.Helper()
		var c core.Core
		c.Init(&visit{})
		s := (*session.Session)(&c)
		key.Set(s, value)
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		entry := core.Entry{Name: string(key), Stamp: v.head.Born, Value: c.Get(string(key))}
		v.brought()
		v.view.State = core.Join(v.view.State, core.State{Entries: []core.Entry{entry}})
	}
}

// Created has the visitor bring a session, empty unless there is a [With], that
// began at the given time, to the millisecond, and ends a [Lifetime] later.
func Created(at time.Time) Option {
	return func(_ testing.TB, v *visit) {
		v.begin(at)
		v.brought()
	}
}

// Refused has the visitor bring nothing that was accepted, for the given reason:
// session.Expired, say, to test what a returning visitor is told.
func Refused(reason session.Reason) Option {
	return func(_ testing.TB, v *visit) {
		v.view = core.View{Verdict: core.Absent, Closed: string(reason)}
	}
}

// LoadError has the session's load fail: reads give nothing, changes are
// dropped, and s.Load and s.Err return err.
func LoadError(err error) Option {
	return func(_ testing.TB, v *visit) { v.loadErr = err }
}

func (v *visit) begin(at time.Time) {
	v.head.Created = core.Millis(at)
	v.head.Born = core.Stamp{At: v.head.Created, ID: 1}
	v.head.End = v.head.Created + Lifetime.Milliseconds()
}

func (v *visit) brought() { v.view.Verdict, v.view.Head = core.Present, &v.head }

// Load is called by the session when it is first used.
func (v *visit) Load(context.Context) (*core.View, error) {
	if v.loadErr != nil {
		return nil, v.loadErr
	}
	return &v.view, nil
}

// Save is called by the session's Save: there is nothing to write to.
func (v *visit) Save(_ context.Context, o core.Outcome) (*core.View, error) { return nil, o.Err }

// LateRead is never called: nothing is committed here.
func (v *visit) LateRead() {}

// LateChange is never called: nothing is committed here.
func (v *visit) LateChange(string) {}
