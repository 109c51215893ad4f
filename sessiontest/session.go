package sessiontest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Lifetime is the absolute lifetime of sessions from [New]. It is the default
// of the middleware.
const Lifetime = 24 * time.Hour

// Option configures the session of [New].
type Option func(testing.TB, *visit)

// visit replaces the middleware as the source of the session.
type visit struct {
	session session.Session
	view    state.View
	head    state.Cookie
	loadErr error
}

// New returns a session for a test of a handler, without keys, cookies or a
// middleware. Without options, the visitor has brought no session. Inspect the
// session itself to see what the handler did: user.Get(s), s.IsNew(), s.ID().
//
// A value that cannot be encoded fails the test at its end, as it would fail
// the response. There are no size limits; to test whether a session fits into
// its cookies, use the middleware and a [Jar].
func New(t testing.TB, options ...Option) *session.Session {
	t.Helper()
	v := &visit{view: state.View{Verdict: reason.Absent}}
	v.head = state.Cookie{Kind: state.Head, Root: state.NewRoot()}
	v.begin(time.Now())
	for _, option := range options {
		option(t, v)
	}
	s := &v.session
	core.Of(s).Init(v)
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

// With makes the visitor bring a session that holds a value under key.
func With[T any](key session.Key[T], value T) Option {
	return func(t testing.TB, v *visit) {
		t.Helper()
		s := new(session.Session)
		c := core.Of(s)
		c.Init(&visit{})
		key.Set(s, value)
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		entry := state.NewEntry(string(key), v.head.Born, c.Get(string(key)))
		v.brought()
		i, found := slices.BinarySearchFunc(v.view.Entries, entry.Name, func(e state.Entry, n string) int { return strings.Compare(e.Name, n) })
		if found {
			v.view.Entries[i] = entry
			return
		}
		v.view.Entries = slices.Insert(v.view.Entries, i, entry)
	}
}

// Created makes the visitor bring a session that began at the given time, to
// the millisecond, and ends one [Lifetime] later. It is empty unless there is
// a [With].
func Created(at time.Time) Option {
	return func(_ testing.TB, v *visit) {
		v.begin(at)
		v.brought()
	}
}

// Refused makes the visitor bring a session that was refused for the given
// reason. For example, use reason.Expired to test the message for a returning
// visitor.
func Refused(why reason.Reason) Option {
	return func(_ testing.TB, v *visit) {
		v.view = state.View{Verdict: reason.Absent, Refused: why}
	}
}

// LoadError makes the session's load fail: reads return nothing, changes are
// dropped, and s.Load and s.Err return err.
func LoadError(err error) Option {
	return func(_ testing.TB, v *visit) { v.loadErr = err }
}

func (v *visit) begin(at time.Time) {
	v.head.Created = state.Millis(at)
	v.head.Born = state.Stamp{At: v.head.Created, ID: 1}
	v.head.End = v.head.Created + Lifetime.Milliseconds()
}

func (v *visit) brought() { v.view.Verdict, v.view.Head = reason.None, &v.head }

// Load is called on the session's first use.
func (v *visit) Load(context.Context) (*state.View, error) {
	if v.loadErr != nil {
		return nil, v.loadErr
	}
	return &v.view, nil
}

// Save is called by the session's Save. There is nothing to write to.
func (v *visit) Save(_ context.Context, o core.Outcome) (*state.View, error) { return nil, o.Err }

// LateRead is never called, because nothing is committed.
func (v *visit) LateRead() {}

// LateChange is never called, because nothing is committed.
func (v *visit) LateChange(string) {}

// Lifetimes is called by the session's Expires.
func (v *visit) Lifetimes() (now, lifetime, longest int64) {
	return state.Millis(time.Now()), Lifetime.Milliseconds(), (400 * 24 * time.Hour).Milliseconds()
}

// Clamped is called for a lifetime that is not permitted.
func (v *visit) Clamped(string, time.Duration) {}

// Undecodable is called for a value that does not have its key's type.
func (v *visit) Undecodable(string, error) {}
