package middleware_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// reasonsOf returns the reasons of events.
func reasonsOf(list []middleware.Event) (all []reason.Reason) {
	for _, e := range list {
		all = append(all, e.Reason)
	}
	return all
}

// reasonIn returns the reason in the header that the test's handler sets.
func reasonIn(t *testing.T, a answer) (why reason.Reason) {
	t.Helper()
	require.NoError(t, why.UnmarshalText([]byte(a.Header.Get("X-Reason"))))
	return why
}

// Each way in which a request can lack a session has a reason. The handler, the
// observer, the operator and the log get the same word.
func TestEveryBrokenRequestHasItsReason(t *testing.T) {
	for _, c := range withoutSession {
		t.Run(c.name, func(t *testing.T) {
			b := c.make(t)
			b.events.forget()
			a := b.bare("/read", b.cookies...)
			down := c.want == reason.StoreDown && b.config.Fallback.Outage != middleware.OutageAbsent
			if down {
				require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
			} else {
				require.Equal(t, c.want.String(), a.Header.Get("X-Reason"))
			}
			loaded := b.events.of(middleware.EventLoaded)
			require.Len(t, loaded, 1)
			require.Equal(t, c.want, loaded[0].Reason)
			reported := reasonsOf(append(b.events.of(middleware.EventRefused), b.events.of(middleware.EventStore)...))
			if c.want == reason.Absent {
				require.Empty(t, reported)
			} else {
				require.Contains(t, reported, c.want)
			}
			b.requireExplained(t, c.want, c.want)
		})
	}
}

// A refused cookie or record is reported even if the request has a session.
func TestEveryRefusalBesideASession(t *testing.T) {
	for _, c := range besideSession {
		t.Run(c.name, func(t *testing.T) {
			b := c.make(t)
			b.events.forget()
			a := b.bare("/read", b.cookies...)
			require.Contains(t, []string{"", "absent"}, a.Header.Get("X-Reason"))
			require.Contains(t, reasonsOf(b.events.of(middleware.EventRefused)), c.want)
			b.requireExplained(t, reasonIn(t, a), c.want)
		})
	}
}

// requireExplained checks that Explain returns the reason, and the reason of the
// refused cookie or record.
func (b broken) requireExplained(t *testing.T, why, refused reason.Reason) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.URL, nil)
	require.NoError(t, err)
	r.Header["Cookie"] = b.cookies
	e := b.sessions.Explain(r)
	require.Equal(t, why, e.Reason)
	var all []reason.Reason
	for _, f := range e.Refused {
		all = append(all, f.Reason)
	}
	if refused == reason.Absent {
		require.Empty(t, all)
		return
	}
	if down := refused == reason.StoreDown && e.Err != nil; !down {
		require.Contains(t, all, refused)
	}
}

// A failed commit has its reason in EventFailed.
func TestEveryFailedCommitHasItsReason(t *testing.T) {
	for _, c := range []struct {
		name string
		want reason.Reason
		make func(t *testing.T) (s *site, path string)
	}{
		{"too large", reason.TooLarge, func(t *testing.T) (*site, string) { return newSite(t, storedApp), "/put?name=a&size=60000" }},
		{"too large for the store", reason.TooLarge, func(t *testing.T) (*site, string) {
			s, _ := storedSite(t)
			return s, "/put?name=a&size=1500000"
		}},
		{"beside an unknown key's cookies", reason.UnknownKey, func(t *testing.T) (*site, string) {
			s, _ := onReplica(t, newRing(t), newRing(t))
			return s, "/set?user=eve"
		}},
		{"no key is active", reason.NoKey, func(t *testing.T) (*site, string) {
			s, _ := onReplica(t, newRing(t), nil)
			return s, "/login?user=eve"
		}},
		{"the store is down", reason.StoreDown, func(t *testing.T) (*site, string) {
			s, store := storedSite(t)
			store.fail(errors.New("connection refused"))
			return s, "/put?name=a&size=60000"
		}},
		{"a renewal of a revoked session", reason.Revoked, func(t *testing.T) (*site, string) {
			sites, _ := sharing(t, 2)
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada")
			b.with("/read", a.header())
			require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
			for _, c := range a.jar.All() {
				b.jar.Put(c.Name, c.Value)
			}
			return b, "/login?user=ada"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, path := c.make(t)
			s.events.forget()
			require.GreaterOrEqual(t, s.get(path).StatusCode, 400)
			failed := s.events.of(middleware.EventFailed)
			require.Len(t, failed, 1)
			require.Equal(t, c.want, failed[0].Reason)
			require.Error(t, failed[0].Err)
		})
	}
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		user.Set(session.From(r.Context()), "late")
	})
	s.get("/")
	late := s.events.of(middleware.EventLateChange)
	require.Len(t, late, 1)
	require.Equal(t, reason.LateChange, late[0].Reason)
}

// Together, the tests above cover every reason.
func TestEveryReasonIsTested(t *testing.T) {
	seen := []reason.Reason{reason.None, reason.TooLarge, reason.NoKey, reason.LateChange}
	for _, c := range withoutSession {
		seen = append(seen, c.want)
	}
	for _, c := range besideSession {
		seen = append(seen, c.want)
	}
	require.GreaterOrEqual(t, len(withoutSession)+len(besideSession), 40)
	for _, reason := range reason.All() {
		require.Contains(t, seen, reason)
	}
	require.Len(t, reason.All(), len(slices.Compact(slices.Sorted(slices.Values(reason.All())))))
}

// An event reports that a head which a retired key had sealed is now sealed by the
// active key.
func TestRotatedIsAnEvent(t *testing.T) {
	old := newRing(t)
	next, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: 48 * time.Hour})
	require.NoError(t, err)
	s, _ := onReplica(t, old, next)
	s.clock.advance(time.Minute)
	s.events.forget()
	s.get("/set?user=grace")
	rotated := s.events.of(middleware.EventRotated)
	require.Len(t, rotated, 1)
	require.Equal(t, next.Active(s.clock.Now()).ID().String(), rotated[0].KeyID)
	require.NotEmpty(t, rotated[0].SessionID)
	s.get("/set?user=ada")
	require.Len(t, s.events.of(middleware.EventRotated), 1, "once")
}
