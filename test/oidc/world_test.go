// Package oidc_test signs visitors in at real OpenID providers and attacks the refresh of
// their tokens: with parallel requests, replicas that are killed, providers that fail,
// and forged responses.
package oidc_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/browser"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// patience limits waiting. Only failing tests wait for it.
const patience = 30 * time.Second

// TestMain also is the replica that tests start as a process of its own.
func TestMain(m *testing.M) {
	logging.Disable()
	flag.Parse()
	if *asReplica != "" {
		serveReplica(*asReplica)
	}
	if text := os.Getenv(functionVariable); text != "" {
		lambdasession.Start(replicaHandler(text))
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // zitadel's provider logs each refusal
	os.Exit(browser.Main(m))
}

// rounds returns how often a burst is repeated. CARRYON_OIDC_ROUNDS=20 sets it.
func rounds(t *testing.T) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("CARRYON_OIDC_ROUNDS"), "2"))
	require.NoError(t, err)
	return n
}

// A world is a provider, and the address at which it expects the program.
type world struct {
	*providers.Provider
	t     *testing.T
	front *httptest.Server
	site  atomic.Pointer[site]
}

func newWorld(t *testing.T, k providers.Kind, change func(s *providers.Settings)) *world {
	t.Helper()
	w := &world{t: t}
	w.front = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.site.Load().serve(rw, r) }))
	t.Cleanup(w.front.Close)
	s := providers.Settings{Redirects: []string{w.front.URL + "/auth/callback"}, AfterLogout: []string{w.front.URL + "/public"},
		BackChannel: w.front.URL + "/auth/backchannel-logout", IDFiller: 1500}
	if change != nil {
		change(&s)
	}
	w.Provider = k.Start(t, s)
	return w
}

// offset is a clock that a test can move.
type offset struct{ d atomic.Int64 }

func (o *offset) now() time.Time          { return time.Now().Add(time.Duration(o.d.Load())) }
func (o *offset) advance(d time.Duration) { o.d.Add(int64(d)) }

// A site is a program with several replicas behind the front of a world.
type site struct {
	*world
	t      *testing.T // of the subtest
	clock  *offset
	limits middleware.Limits
	setup  setup

	mu       sync.Mutex
	replicas []http.Handler
	next     int // replica
	events   []oidcsession.Event
	longest  int // Cookie header
}

// A setup is what tests change of a site.
type setup struct {
	replicas int
	store    func(t *testing.T, clock func() time.Time) fallback.Store // called for each replica; nil: none
	sessions middleware.Config
	config   oidcsession.Config
	skew     func(replica int) time.Duration // of the replica's clock
}

// newSite puts a new program behind the world's front.
func (w *world) newSite(t *testing.T, change func(s *setup)) *site {
	t.Helper()
	s := &site{world: w, t: t, clock: &offset{}, setup: setup{replicas: 1}}
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	s.setup.sessions.Keys = ring
	s.setup.config = oidcsession.Config{
		Issuer: w.URL, ClientID: providers.ClientID, ClientSecret: providers.Secret, RedirectURL: w.front.URL + "/auth/callback",
		Scopes: []string{"profile", "email", "offline_access"}, AfterLogout: "/public", Observer: s.observe,
		// oidc-provider gives a refresh token only to visitors who have agreed to it now
		Parameters: map[string][]string{"prompt": {"consent"}},
		HTTPClient: &http.Client{Timeout: patience},
	}
	if change != nil {
		change(&s.setup)
	}
	s.limits = limitsOf(s.setup.sessions)
	for i := range s.setup.replicas {
		s.replicas = append(s.replicas, s.newReplica(i))
	}
	w.site.Store(s)
	return s
}

func limitsOf(c middleware.Config) middleware.Limits {
	l, _ := c.Platform.Limits()
	l.RequestBytes = cmp.Or(c.Limits.RequestBytes, l.RequestBytes)
	l.ResponseBytes = cmp.Or(c.Limits.ResponseBytes, l.ResponseBytes)
	return l
}

func (s *site) newReplica(i int) http.Handler {
	set := s.setup
	clock := s.clock.now
	if set.skew != nil {
		clock = func() time.Time { return s.clock.now().Add(set.skew(i)) }
	}
	set.sessions.Clock, set.config.Clock = clock, clock
	if set.store != nil {
		set.sessions.Fallback.Store = set.store(s.t, clock)
	}
	h, err := newProgram(s.t.Context(), set.sessions, set.config)
	require.NoError(s.t, err)
	return h
}

// serve passes a request to the next replica, and checks its cookies like a proxy with
// the platform's limits.
func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	replica := s.replicas[s.next%len(s.replicas)]
	s.next++
	n := len(r.Header.Get("Cookie"))
	s.longest = max(s.longest, n)
	s.mu.Unlock()
	if n > s.limits.RequestBytes {
		s.t.Errorf("a Cookie header of %d bytes; the limit is %d", n, s.limits.RequestBytes)
	}
	replica.ServeHTTP(w, r)
	n = 0
	for _, line := range w.Header()["Set-Cookie"] {
		n += len("Set-Cookie: ") + len(line) + 2
	}
	if n > s.limits.ResponseBytes {
		s.t.Errorf("Set-Cookie lines of %d bytes; the limit is %d", n, s.limits.ResponseBytes)
	}
}

func (s *site) observe(_ context.Context, e oidcsession.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// count returns the number of events of a kind.
func (s *site) count(kind oidcsession.EventKind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// lastError returns the error of the last event of a kind, or nil.
func (s *site) lastError(kind oidcsession.EventKind) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			err = e.Err
		}
	}
	return err
}

// expire makes the access tokens of the site's visitors expire.
func (s *site) expire() { s.clock.advance(time.Duration(s.Settings.Seconds+1) * time.Second) }

// memory is a store for one process.
func memory(t *testing.T, clock func() time.Time) fallback.Store {
	store, err := fallback.NewMemory(fallback.MemoryConfig{Clock: clock})
	require.NoError(t, err)
	return store
}

// redisAddress returns where Redis listens.
func redisAddress() string { return cmp.Or(os.Getenv("CARRYON_TEST_REDIS"), "127.0.0.1:6379") }

// inRedis makes all replicas use a Redis with a prefix of their own.
func inRedis(t *testing.T) func(*testing.T, func() time.Time) fallback.Store {
	t.Helper()
	prefix := newPrefix(t)
	return func(t *testing.T, clock func() time.Time) fallback.Store { return openRedis(t, prefix, clock) }
}

func newPrefix(t *testing.T) string {
	t.Helper()
	client := dialRedis(t)
	prefix := "carryon-oidc:" + rand.Text()[:12] + ":"
	t.Cleanup(func() {
		ctx := context.Background()
		for keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator(); keys.Next(ctx); {
			client.Del(ctx, keys.Val())
		}
	})
	return prefix
}

func openRedis(t *testing.T, prefix string, clock func() time.Time) fallback.Store {
	t.Helper()
	store, err := redisstore.New(dialRedis(t), redisstore.Options{Prefix: prefix, Clock: clock})
	require.NoError(t, err)
	return store
}

// dialRedis returns a client of the running Redis.
func dialRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{redisAddress()}})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Ping(context.Background()).Err(); err != nil {
		what := fmt.Sprintf("Redis is not running: %v", err)
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s; it is required in CI", what)
		}
		t.Skip(what)
	}
	return client
}
