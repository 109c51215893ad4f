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

// While the store is down, a replica goes by what it knows, whether that is of a
// session or of a subject, and however old it is.
func TestStolenJarWhileTheStoreIsDown(t *testing.T) {
	for name, refuse := range map[string]bool{"go on": false, "refuse": true} {
		t.Run(name, func(t *testing.T) {
			sites, store := sharing(t, 2, config(func(c *middleware.Config) { c.RefuseIfRevocationUnknown = refuse }))
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada")
			bySubject := a.rob()
			require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
			a.forget()
			a.get("/bind?user=grace")
			byID := a.rob()
			require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
			a.forget()
			a.get("/bind?user=emmy")
			mine := a.rob()

			store.fail(errors.New("connection refused"))
			for range 3 {
				after(a, time.Hour/2)
				byID.requireEnded(a)
				bySubject.visits(a, "/read")
				require.Equal(t, reason.Revoked.String(), bySubject.answer.Header.Get("X-Reason"))
				status := map[bool]int{false: 200, true: 503}[refuse]
				require.Equal(t, status, mine.visits(a, "/read").answer.StatusCode, "who is not ended")
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

// An outage of which a request learns by asking is an event.
func TestGoingOnWithoutTheStoreIsAnEvent(t *testing.T) {
	sites, store := sharing(t, 1)
	a := sites[0]
	a.get("/set?user=ada")
	store.fail(errors.New("connection refused"))
	after(a, time.Hour)
	a.events.forget()
	require.Equal(t, "ada", a.who())
	calls := a.events.of(middleware.EventStore)
	require.Len(t, calls, 2, "each attempt is told")
	for _, call := range calls {
		require.Equal(t, reason.StoreDown, call.Reason)
		require.ErrorContains(t, call.Err, "connection refused")
	}
}

// A fail-over that loses the record of a revocation cannot make a replica forget
// that has it; and a revocation that is sent again counts.
func TestRevocationThatAFailoverLoses(t *testing.T) {
	sites, store := sharing(t, 2)
	a, b := sites[0], sites[1]
	a.get("/bind?user=ada")
	stolen := a.rob()
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	require.NoError(t, store.Store.(*fallback.Memory).Clear(t.Context()))
	after(a, time.Minute)
	stolen.requireEnded(a)
	require.Equal(t, "ada", stolen.who(b), "which has never heard of it")

	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	after(a, middleware.DefaultRevocationMaxAge)
	stolen.requireEnded(a, b)
}

// Logins and log-outs-everywhere at once: whatever was bound when the last
// RevokeSubject began is over, and every login that began after it counts.
func TestLoginsAndRevocationsAtOnce(t *testing.T) {
	sites, _ := sharing(t, 3)
	ring := sites[0].sessions.Config.Keys
	for i, skew := range []time.Duration{-29 * time.Second, 0, 29 * time.Second} {
		now := sites[0].clock
		m, err := middleware.New(middleware.Config{Keys: ring, Fallback: sites[0].sessions.Fallback,
			Clock: func() time.Time { return now.Now().Add(skew) }})
		require.NoError(t, err)
		sites[i].sessions = m
	}
	login := func(m *middleware.Sessions) string {
		return direct(t, m, func(s *session.Session) { s.Bind("ada") })
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
			wg.Go(func() { early[3+i] = login(sites[i].sessions) }) // at once with them: either is right
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

// Whoever begins sessions without end drives out what a replica knows of others,
// and wins nothing by it: it asks again, and with the store down it still has
// what was ended.
func TestFloodOfSessionsForgetsNoRevocation(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: 70,000 sessions take some seconds")
	}
	sites, store := sharing(t, 1, withoutIdle)
	a := sites[0]
	a.get("/bind?user=ada")
	bySubject := a.rob()
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	a.forget()
	a.get("/set?user=grace")
	byID := a.rob()
	a.get("/logout")

	for range 70_000 {
		cookie := direct(t, a.sessions, func(s *session.Session) { note.Set(s, "x") })
		direct(t, a.sessions, func(s *session.Session) { note.Get(s) }, cookie)
	}
	store.fail(errors.New("connection refused")) // before anything is asked anew
	after(a, time.Hour)
	byID.requireEnded(a)
	bySubject.requireEnded(a)
}

// direct does a request without a server, and returns the first cookie that its
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

// A clock that is set back makes nothing younger.
func TestRevocationsAndAClockThatIsSetBack(t *testing.T) {
	sites, _ := sharing(t, 2, withoutIdle)
	a, b := sites[0], sites[1]
	after(a, time.Hour)
	a.get("/bind?user=ada")
	stolen := a.rob()
	require.Equal(t, "ada", stolen.who(b))
	require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	after(a, -20*time.Second)
	stolen.requireEnded(b)
}

// A store that hangs, or panics, holds up no more than who asks it.
func TestRevocationsAndAStoreThatHangs(t *testing.T) {
	sites, store := sharing(t, 1, config(func(c *middleware.Config) { c.StoreTimeout = -1 }))
	a := sites[0]
	a.get("/set?user=ada")
	after(a, time.Minute)
	store.Store = hanging{store.Store}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, x := a.sessions.Begin(ctx, middleware.Request{Method: "GET", Cookies: []string{a.header()}})
	name, _ := user.Get(session.From(x))
	require.Equal(t, "ada", name, "it goes on at the request's own deadline")
}

// hanging is a store whose loads end with their context only.
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
	store.interrupt(func(string) { panic("a driver's mistake") })
	_, err := a.client.Post(a.URL+"/read", "", nil)
	require.Error(t, err, "the server has ended the connection")
	store.interrupt(nil)
	after(a, time.Minute)
	require.Equal(t, "ada", a.who(), "and nobody waits for that answer")
}

// What would end nothing says so.
func TestRevokeThatCannotCount(t *testing.T) {
	sites, _ := sharing(t, 1)
	m := sites[0].sessions
	require.ErrorContains(t, m.RevokeSubject(t.Context(), ""), "1 to 255 bytes")
	require.ErrorContains(t, m.RevokeSubject(t.Context(), text(256)), "1 to 255 bytes")
	require.ErrorContains(t, m.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAB"), "22 characters", "no id ends so")

	memory, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	off, err := middleware.New(middleware.Config{Keys: keyring.Ephemeral(), Fallback: memory, WithoutRevocation: true})
	require.NoError(t, err)
	require.ErrorContains(t, off.RevokeSubject(t.Context(), "ada"), "WithoutRevocation")
	require.ErrorContains(t, off.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"), "WithoutRevocation")
	stored, err := middleware.New(middleware.Config{Keys: keyring.Ephemeral(), Fallback: memory, WithoutRevocation: true, Mode: middleware.AlwaysStored})
	require.NoError(t, err)
	require.NoError(t, stored.Revoke(t.Context(), "AAAAAAAAAAAAAAAAAAAAAA"), "every session's row says it")
}

// What revoking writes is tiny, and lasts until the last session that it may
// concern has ended.
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
		rec, err := store.Store.Load(t.Context(), store.the(t))
		require.NoError(t, err)
		require.Less(t, len(rec.Data), 32, "end %d", i)
		require.Equal(t, fallback.KindRevocation, rec.Kind)
		require.False(t, rec.Expires.Before(a.clock.Now().Add(middleware.MaxLifetime)))
	}
	a.forget()
	a.get("/bind?user=grace")
	store.ids = map[string]bool{}
	a.get("/logout")
	rec, err := store.Store.Load(t.Context(), store.the(t))
	require.NoError(t, err)
	require.Less(t, len(rec.Data), 300)
	require.Equal(t, fallback.KindLoginEnd, rec.Kind)
	require.Equal(t, fmt.Sprint(noon.Add(24*time.Hour+17*time.Minute)), fmt.Sprint(rec.Expires.UTC()), "the session's own end, and what clocks may differ by")
}

// What revoking asks of the store is told, and whose it was is not.
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
