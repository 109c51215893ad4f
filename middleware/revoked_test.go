package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// While the store is down, a replica uses the status of sessions and subjects that
// it has cached, however old the status is.
func TestStolenJarWhileTheStoreIsDown(t *testing.T) {
	for revocation, refuse := range map[middleware.Revocation]bool{middleware.RevocationOn: false, middleware.RevocationStrict: true} {
		t.Run(map[bool]string{false: "go on", true: "refuse"}[refuse], func(t *testing.T) {
			sites, store := sharing(t, 2, config(func(c *middleware.Config) { c.Fallback.Revocation = revocation }))
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada")
			bySubject := a.stealJar()
			require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
			a.forget()
			a.get("/bind?user=grace")
			byID := a.stealJar()
			require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
			a.forget()
			a.get("/bind?user=emmy")
			mine := a.stealJar()

			store.fail(errors.New("connection refused"))
			for range 3 {
				after(a, time.Hour/2)
				byID.requireEnded(a)
				bySubject.visits(a, "/read")
				require.Equal(t, reason.Revoked.String(), bySubject.answer.Header.Get("X-Reason"))
				status := map[bool]int{false: 200, true: 503}[refuse]
				require.Equal(t, status, mine.visits(a, "/read").answer.StatusCode, "the status for a session that is not revoked")
				require.Equal(t, status, mine.visits(b, "/read").answer.StatusCode)
			}
			store.fail(nil)
			after(a, 2*time.Second)
			require.Equal(t, "emmy", mine.who(a))
			byID.requireEnded(a, b)
			bySubject.requireEnded(a, b)
		})
	}
}

// An outage that a request finds by asking for a revocation is an event.
func TestGoingOnWithoutTheStoreIsAnEvent(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	a.get("/set?user=ada")
	store.fail(errors.New("connection refused"))
	after(a, time.Hour)
	a.events.forget()
	require.Equal(t, "ada", a.who())
	calls := a.events.of(middleware.EventStore)
	require.Len(t, calls, 2, "each attempt is reported")
	for _, call := range calls {
		require.Equal(t, reason.StoreDown, call.Reason)
		require.ErrorContains(t, call.Err, "connection refused")
	}
}

// If a fail-over loses the record of a revocation, replicas that have it cached
// still refuse the session. A revocation that is sent again counts everywhere.
func TestRevocationThatAFailoverLoses(t *testing.T) {
	sites, store := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.get("/bind?user=ada")
	stolen := a.stealJar()
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	require.NoError(t, store.Store.(*fallback.Memory).Clear(t.Context()))
	after(a, time.Minute)
	stolen.requireEnded(a)
	require.Equal(t, "ada", stolen.who(b), "b has not cached the revocation")

	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	after(a, middleware.DefaultRevocationMaxAge)
	stolen.requireEnded(a, b)
}

// Logins and calls of RevokeSubject run in parallel. All sessions bound before the
// last RevokeSubject began are ended, and every login that began after it counts.
func TestLoginsAndRevocationsAtOnce(t *testing.T) {
	sites, _ := sharing(t, 3)
	ring := sites[0].config.Keys
	for i, skew := range []time.Duration{-29 * time.Second, 0, 29 * time.Second} {
		now := sites[0].clock
		m, err := middleware.New(middleware.Config{Keys: ring, Fallback: middleware.Fallback{Store: sites[0].config.Fallback.Store},
			Clock: func() time.Time { return now.Now().Add(skew) }})
		require.NoError(t, err)
		sites[i].sessions = m
	}
	login := func(m *middleware.Sessions) string {
		return direct(t, m, func(s *session.Session) { s.Login("ada") })
	}
	present := func(m *middleware.Sessions, cookie string) (ok bool) {
		direct(t, m, func(s *session.Session) { _, ok = s.Subject() }, cookie)
		return ok
	}
	for range 20 {
		var wg sync.WaitGroup
		early := make([]string, 6)
		for i := range early[:3] {
			early[i] = login(sites[i].sessions)
		}
		for i := range 3 {
			wg.Go(func() { early[3+i] = login(sites[i].sessions) }) // in parallel with the revocations: both results are right
			wg.Go(func() {
				if err := sites[i].sessions.RevokeSubject(t.Context(), "ada"); err != nil {
					t.Errorf("a revocation failed: %v", err)
				}
			})
		}
		wg.Wait()
		late := login(sites[0].sessions)
		after(sites[0], middleware.DefaultRevocationMaxAge)
		for _, s := range sites {
			for _, cookie := range early[:3] {
				require.False(t, present(s.sessions, cookie), "bound before the revocation")
			}
			require.True(t, present(s.sessions, late), "bound after it")
		}
	}
}

// A flood of new sessions drives the cached status of others out of a replica's
// cache. The replica then asks the store again. With the store down, it still has
// the status of the sessions that have ended.
func TestFloodOfSessionsForgetsNoRevocation(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: 70,000 sessions take some seconds")
	}
	sites, store := sharing(t, 1, withoutIdle)
	a := sites[0]
	a.get("/bind?user=ada")
	bySubject := a.stealJar()
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	a.forget()
	a.get("/set?user=grace")
	byID := a.stealJar()
	a.get("/logout")

	for range 70_000 {
		cookie := direct(t, a.sessions, func(s *session.Session) { note.Set(s, "x") })
		direct(t, a.sessions, func(s *session.Session) { note.Get(s) }, cookie)
	}
	store.fail(errors.New("connection refused")) // before any status is asked for again
	after(a, time.Hour)
	byID.requireEnded(a)
	bySubject.requireEnded(a)
}

// direct sends a request without a server. It returns the first cookie that the
// response sets, or "". It may run in goroutines of a test.
func direct(t *testing.T, m *middleware.Sessions, do func(*session.Session), cookies ...string) string {
	_, x := m.Begin(t.Context(), middleware.Request{Method: "GET", Cookies: cookies})
	do(session.From(x))
	out, err := x.Commit(t.Context(), middleware.Response{Status: 200})
	if err != nil {
		t.Errorf("a request failed: %v", err)
	}
	if len(out.SetCookie) == 0 {
		return ""
	}
	pair, _, _ := strings.Cut(out.SetCookie[0], ";")
	return pair
}

// A clock that is set back does not make a cached status newer.
func TestRevocationsAndAClockThatIsSetBack(t *testing.T) {
	sites, _ := sharing(t, 2, withoutIdle)
	a, b := sites[0], sites[1]
	after(a, time.Hour)
	a.get("/bind?user=ada")
	stolen := a.stealJar()
	require.Equal(t, "ada", stolen.who(b))
	require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	after(a, -20*time.Second)
	stolen.requireEnded(b)
}

// A store that hangs or panics affects only the requests that call it.
func TestRevocationsAndAStoreThatHangs(t *testing.T) {
	sites, store := sharing(t, 1, config(func(c *middleware.Config) { c.Fallback.Timeout = -1 }))
	a := sites[0]
	a.get("/set?user=ada")
	after(a, time.Minute)
	store.Store = hanging{store.Store}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, x := a.sessions.Begin(ctx, middleware.Request{Method: "GET", Cookies: []string{a.header()}})
	name, _ := user.Get(session.From(x))
	require.Equal(t, "ada", name, "the request goes on at its own deadline")
}

// hanging is a store whose loads end only with their context.
type hanging struct{ fallback.Store }

func (hanging) Load(ctx context.Context, _ string) (fallback.Record, error) {
	<-ctx.Done()
	return fallback.Record{}, ctx.Err()
}

func TestRevocationsAndAStoreThatPanics(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	a.get("/set?user=ada")
	after(a, time.Minute)
	store.interrupt(func(string) { panic("a fault of the driver") })
	_, err := a.client.Post(a.URL+"/read", "", nil)
	require.Error(t, err, "the server has closed the connection")
	store.interrupt(nil)
	after(a, time.Minute)
	require.Equal(t, "ada", a.who(), "other requests do not wait for that answer")
}

// Revoking returns an error if it could not have an effect.
func TestRevokeThatCannotCount(t *testing.T) {
	sites, _ := sharing(t, 1)
	m := sites[0].sessions
	require.ErrorContains(t, m.RevokeSubject(t.Context(), ""), "1 to 255 bytes")
	require.ErrorContains(t, m.RevokeSubject(t.Context(), text(256)), "1 to 255 bytes")
	require.ErrorContains(t, m.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAB"), "22 characters", "no id ends with these bits")

	memory, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	off, err := middleware.New(middleware.Config{Keys: keyring.Ephemeral(), Fallback: middleware.Fallback{Store: memory, Revocation: middleware.RevocationOff}})
	require.NoError(t, err)
	require.ErrorContains(t, off.RevokeSubject(t.Context(), "ada"), "RevocationOff")
	require.ErrorContains(t, off.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"), "RevocationOff")
	stored, err := middleware.New(middleware.Config{Keys: keyring.Ephemeral(), Fallback: middleware.Fallback{Store: memory, Revocation: middleware.RevocationOff, Mode: middleware.AlwaysStored}})
	require.NoError(t, err)
	require.NoError(t, stored.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"), "every session has a row with its status")
}

// The record of a revocation is tiny. It is kept until the last session that it
// may concern has expired.
func TestRecordsOfRevocations(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	a.get("/bind?user=ada")
	id := a.get("/id").body
	for i, end := range []func() error{
		func() error { return a.sessions.RevokeSubject(t.Context(), "ada") },
		func() error { return a.sessions.Revoke(t.Context(), id) },
	} {
		store.ids = map[string]bool{}
		require.NoError(t, end())
		rec, err := store.Store.Load(t.Context(), store.onlyRecord(t))
		require.NoError(t, err)
		require.Less(t, len(rec.Data), 32, "end %d", i)
		require.Equal(t, fallback.KindRevocation, rec.Kind)
		require.False(t, rec.Expires.Before(a.clock.Now().Add(middleware.MaxLifetime)))
	}
	a.forget()
	a.get("/bind?user=grace")
	store.ids = map[string]bool{}
	a.get("/logout")
	rec, err := store.Store.Load(t.Context(), store.onlyRecord(t))
	require.NoError(t, err)
	require.Less(t, len(rec.Data), 300)
	require.Equal(t, fallback.KindLoginEnd, rec.Kind)
	require.Equal(t, fmt.Sprint(noon.Add(24*time.Hour+17*time.Minute)), fmt.Sprint(rec.Expires.UTC()), "the session's own end plus the margin for clocks")
}

// The store calls of a revocation are reported, without the subject.
func TestRevokingIsTold(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	calls := a.events.of(middleware.EventStore)
	require.Len(t, calls, 2)
	require.Equal(t, []string{"load", "save"}, []string{calls[0].Detail, calls[1].Detail})
	require.Equal(t, 23, calls[1].Bytes)
	store.fail(errors.New("connection refused"))
	require.ErrorIs(t, a.sessions.RevokeSubject(t.Context(), "ada"), session.ErrStoreDown)
	calls = a.events.of(middleware.EventStore)
	require.ErrorContains(t, calls[len(calls)-1].Err, "connection refused")
}
