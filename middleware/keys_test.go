package middleware_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// emptyRing is a provider without a ring.
type emptyRing struct{}

func (emptyRing) Ring(context.Context) *keyring.Ring { return nil }

// replica is a provider whose ring a test changes, and which counts how often it
// was asked about unknown ids. Unless current is set, it cannot decide whether an
// unknown id is another program's.
type replica struct {
	mu       sync.Mutex
	ring     *keyring.Ring
	next     *keyring.Ring // the ring in the source; nil: no newer one
	current  bool
	resolved int
}

func (r *replica) Ring(context.Context) *keyring.Ring {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ring
}

func (r *replica) Resolve(ctx context.Context, ids ...keyring.ID) (*keyring.Ring, keyring.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resolved++
	if r.next != nil {
		r.ring = r.next
	}
	ring, verdict := r.ring.Resolve(ctx, ids...)
	if verdict == keyring.Foreign && !r.current {
		verdict = keyring.Undecided
	}
	return ring, verdict
}

func (r *replica) set(ring, next *keyring.Ring) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.next, r.resolved = ring, next, 0
}

// onReplica returns a site that runs with the ring now. Its visitor has a session
// that is sealed under the ring old.
func onReplica(t *testing.T, old, now *keyring.Ring, options ...option) (*site, *replica) {
	keys := &replica{ring: old}
	s := newSite(t, app, append(options, config(func(c *middleware.Config) { c.Keys = keys }))...)
	s.get("/login?user=ada")
	require.Equal(t, "ada", s.who())
	s.events.forget()
	keys.set(now, nil)
	return s, keys
}

// A cookie with an unknown key may be another replica's. It stays, it counts
// against the limits, and the ring's source is read once for each request.
func TestUnknownKeyIsLeftWhereItIs(t *testing.T) {
	old := newRing(t)
	s, keys := onReplica(t, old, newRing(t))
	before := s.cookie()
	a := s.get("/read")
	require.Equal(t, 404, a.StatusCode)
	require.Equal(t, reason.UnknownKey.String(), a.Header.Get("X-Reason"))
	require.Empty(t, a.Header["Set-Cookie"])
	require.Equal(t, before, s.cookie())
	require.Equal(t, 1, keys.resolved)

	refused := s.events.of(middleware.EventRefused)
	require.Len(t, refused, 1)
	require.Equal(t, reason.UnknownKey, refused[0].Reason)
	require.Equal(t, old.Active(noon).ID().String(), refused[0].KeyID)
	require.Equal(t, reason.UnknownKey, s.events.of(middleware.EventLoaded)[0].Reason)

	keys.set(old, nil)
	require.Equal(t, "ada", s.who())
	require.Zero(t, keys.resolved, "a cookie that opens needs no reload")
}

func TestUnknownKeyStopsImplicitWrites(t *testing.T) {
	s, _ := onReplica(t, newRing(t), newRing(t))
	before := s.cookie()
	a := s.get("/set?user=eve")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Empty(t, a.Header["Set-Cookie"])
	require.Equal(t, before, s.cookie())
	failed := s.events.of(middleware.EventFailed)
	require.Len(t, failed, 1)
	require.ErrorIs(t, failed[0].Err, session.ErrUnknownKey)
	require.Equal(t, reason.UnknownKey, failed[0].Reason)
}

func TestUnknownKeyDoesNotStopRenewAndDestroy(t *testing.T) {
	old, other := newRing(t), newRing(t)
	s, _ := onReplica(t, old, other)
	stolen := s.jar.Header("")
	require.Equal(t, 200, s.get("/login?user=grace").StatusCode)
	require.Equal(t, "grace", s.who())
	require.NotContains(t, s.jar.Header(""), stolen, "the unopened cookie is gone")

	s, keys := onReplica(t, old, other)
	stolen = s.jar.Header("")
	require.Equal(t, 200, s.get("/logout").StatusCode)
	require.NotContains(t, s.jar.Header(""), stolen)
	keys.set(old, nil)
	require.Empty(t, s.who(), "also logged out at the replica that could open the cookie")
}

func TestUnknownKeyIsOpenedByTheRefreshedRing(t *testing.T) {
	old := newRing(t)
	s, keys := onReplica(t, old, newRing(t))
	keys.set(newRing(t), old)
	require.Equal(t, "ada", s.who())
	require.Equal(t, 1, keys.resolved)
	require.Empty(t, s.events.of(middleware.EventRefused))
}

// A fixed ring never changes, so an unknown key is another program's.
func TestUnknownKeyOfAStaticRing(t *testing.T) {
	one := newSite(t, app)
	one.get("/login?user=ada")
	two := newSite(t, app)
	a := two.bare("/read", one.jar.Header(""))
	require.Equal(t, reason.UnknownKey.String(), a.Header.Get("X-Reason"))
}

// A cookie with an unknown key beside a readable session does not affect reads. A
// write succeeds or is refused, and both cookies are kept.
func TestUnknownKeyBesideAReadableSession(t *testing.T) {
	ring := newRing(t)
	s, _ := onReplica(t, ring, ring)
	s.moveToOwnTag()
	foreign := newSite(t, app)
	foreign.get("/login?user=eve")
	planted := foreign.cookie()
	s.jar.Put(planted.Name, planted.Value)
	require.Equal(t, "ada", s.who())
	want := "ada"
	if s.get("/set?user=ada-2").StatusCode == 200 {
		want = "ada-2"
	}
	require.Equal(t, want, s.who())
	require.Equal(t, planted.Value, s.jar.Value(planted.Name))
	s.get("/login?user=grace")
	require.Equal(t, "grace", s.who())
	require.Empty(t, s.jar.Value(planted.Name), "a login expires it")
}

// No replica opens cookies of a dead key.
func TestDeadKey(t *testing.T) {
	old := newRing(t)
	revoked, _, err := old.Revoke(old.Active(noon).ID(), noon)
	require.NoError(t, err)
	s, keys := onReplica(t, old, revoked)
	a := s.get("/read")
	require.Equal(t, 404, a.StatusCode)
	require.Equal(t, reason.DeadKey.String(), a.Header.Get("X-Reason"))
	require.Zero(t, keys.resolved)
	refused := s.events.of(middleware.EventRefused)
	require.Len(t, refused, 1)
	require.Equal(t, reason.DeadKey, refused[0].Reason)
	require.Equal(t, old.Active(noon).ID().String(), refused[0].KeyID)

	require.Equal(t, 200, s.get("/set?user=grace").StatusCode, "a dead key's cookie does not prevent writes")
	require.Equal(t, "grace", s.who())
}

// A retired key opens cookies; the next write or touch seals with the active key.
func TestRetiredKeyStillOpens(t *testing.T) {
	old := newRing(t)
	rotated, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1})
	require.NoError(t, err)
	s, _ := onReplica(t, old, rotated)
	s.clock.advance(middleware.DefaultIdleTimeout / 2)
	before := s.cookie()
	a := s.get("/read")
	require.Equal(t, "ada", a.body)
	require.NotEmpty(t, a.Header["Set-Cookie"], "a touch")
	header, err := codec.Peek(s.cookie().Value)
	require.NoError(t, err)
	require.Equal(t, rotated.Active(s.clock.Now()).ID(), header.KeyID)
	gone, _, err := rotated.Revoke(old.Active(noon).ID(), noon)
	require.NoError(t, err)
	s2, _ := onReplica(t, old, gone)
	require.Empty(t, s2.bare("/read", before.Name+"="+before.Value).body)
	require.Empty(t, s2.who())
}

// If no key is active, nothing is sent and nothing is lost.
func TestNoActiveKey(t *testing.T) {
	ring := newRing(t)
	s, keys := onReplica(t, ring, nil)
	before := s.cookie()
	a := s.get("/login?user=grace")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.ErrorIs(t, s.events.of(middleware.EventFailed)[0].Err, session.ErrNoKey)
	require.Equal(t, before, s.cookie())
	keys.set(ring, nil)
	require.Equal(t, "ada", s.who())
}

// New warns if the ring's keys do not open for as long as a session lives, but
// starts, because the ring can change at any time.
func TestNewWarnsOfAShortOverlap(t *testing.T) {
	ring := newRing(t)
	short, _, err := ring.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: time.Hour})
	require.NoError(t, err)
	for lifetime, want := range map[time.Duration]bool{0: true, 2 * time.Hour: true, time.Hour: false, time.Minute: false} {
		var log strings.Builder
		_, err := middleware.New(middleware.Config{Keys: short, Lifetimes: middleware.Lifetimes{Absolute: lifetime}, Clock: func() time.Time { return noon },
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Equal(t, want, strings.Contains(log.String(), "some sessions end before their lifetime"), "%v: %s", lifetime, log.String())
		if want {
			require.Contains(t, log.String(), ring.Active(noon).ID().String())
		}
	}
}
