package oidc_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// All requests that wait for a refresh are canceled, as when the visitor leaves the page.
// The refresh goes on, and the next request gets its result, at any replica.
func TestAllResponsesAreLost(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		for _, a := range arrangements {
			t.Run(a.name, func(t *testing.T) {
				s := w.newSite(t, func(set *setup) { a.change(t, set) })
				v := s.visitor()
				v.signIn()
				old := v.token()
				s.expire()
				before, _ := w.Refreshes()
				gate := providers.NewGate()
				w.BreakToken(gate.Hold)
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for range 12 {
					r := v.request(http.MethodGet, "/token", nil).WithContext(ctx)
					r.Header.Set("Cookie", v.jar.Header(""))
					wg.Go(func() {
						_, err := v.send(r)
						if !errors.Is(err, context.Canceled) {
							t.Errorf("the request was not canceled: %v", err)
						}
					})
				}
				gate.Wait(t)
				cancel()
				wg.Wait()
				refreshed := s.count(oidcsession.EventRefreshed)
				gate.Open()
				await(t, func() bool { return s.count(oidcsession.EventRefreshed) > refreshed })
				w.Repair()
				for range s.replicas {
					require.NotEqual(t, old, v.token())
				}
				after, reused := w.Refreshes()
				require.Equal(t, before+1, after)
				require.Zero(t, reused)
			})
		}
	})
}

// A cable is the connection to Redis. A test can cut it.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
	loads []*atomic.Int64 // of each replica
}

// counting is a store that counts its loads.
type counting struct {
	fallback.Store
	loads *atomic.Int64
}

func (s counting) Load(ctx context.Context, id string) (fallback.Record, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, id)
}

var errCut = errors.New("the cable is cut")

func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return nil, errCut
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	c.conns = append(c.conns, conn)
	return conn, err
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	c.conns = nil
}

// through makes all replicas use Redis through the cable.
func (c *cable) through(t *testing.T) func(*testing.T, func() time.Time) fallback.Store {
	t.Helper()
	prefix := newPrefix(t)
	return func(t *testing.T, clock func() time.Time) fallback.Store {
		client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{redisAddress()}, Dialer: c.dial})
		t.Cleanup(func() { _ = client.Close() })
		store, err := redisstore.New(client, redisstore.Options{Prefix: prefix, Clock: clock})
		require.NoError(t, err)
		loads := &atomic.Int64{}
		c.loads = append(c.loads, loads)
		return counting{store, loads}
	}
}

// The store fails while replicas refresh. Those that wait for another replica's result
// get it when the store is back soon. Else they answer 503, and do not use the refresh
// token a second time. No visitor is signed out.
func TestStoreFailsDuringARefresh(t *testing.T) {
	t.Parallel() // the lease time passes
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		t.Parallel()
		for name, c := range map[string]struct {
			replicas int
			back     bool // the store is back soon
		}{"one replica": {1, false}, "three replicas": {3, false}, "three replicas, for a moment": {3, true}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				replicas, back := c.replicas, c.back
				w := newWorld(t, k, nil)
				var c cable
				s := w.newSite(t, func(set *setup) { set.replicas, set.store = replicas, c.through(t) })
				v := s.visitor()
				v.signIn()
				old := v.token()
				s.expire()
				w.cutAtRefresh(t, &c, replicas)
				if back {
					go func() {
						await(t, func() bool { return s.count(oidcsession.EventRefreshed) == 1 })
						c.set(false)
					}()
				}
				won := ""
				for _, a := range v.burst(12, "/token") {
					if a.StatusCode == http.StatusOK || back {
						require.Equal(t, http.StatusOK, a.StatusCode, a.body)
						require.Contains(t, []string{"", a.body}, won)
						won = a.body
						continue
					}
					require.Equal(t, "transient unreachable\n", a.body)
				}
				w.Repair()
				require.NotEmpty(t, won)
				require.NotEqual(t, old, won)
				c.set(false)
				require.True(t, v.signedIn())
				require.Equal(t, won, v.token())
				all, reused := w.Refreshes()
				require.Equal(t, 1, all)
				require.Zero(t, reused)
				require.Zero(t, s.count(oidcsession.EventSignedOut))
			})
		}
	})
}

// cutAtRefresh cuts the connection to Redis while a replica refreshes and all others
// have seen its lease.
func (w *world) cutAtRefresh(t *testing.T, c *cable, replicas int) {
	t.Helper()
	gate := providers.NewGate()
	w.BreakToken(gate.Hold)
	go func() {
		gate.Wait(t)
		before := c.count()
		await(t, func() bool {
			waiting := 0
			for i, n := range c.count() {
				if n >= before[i]+10 { // more than a request needs for the session's status
					waiting++
				}
			}
			return waiting >= replicas-1
		})
		c.set(true)
		gate.Open()
	}()
}

// count returns the loads of each replica so far.
func (c *cable) count() (all []int64) {
	for _, n := range c.loads {
		all = append(all, n.Load())
	}
	return all
}
