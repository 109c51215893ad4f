package oidc_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// threeInRedis is the usual arrangement of replicas.
func threeInRedis(t *testing.T) func(s *setup) {
	return func(s *setup) { s.replicas, s.store = 3, inRedis(t) }
}

// outages are ways in which a provider fails without having done anything.
var outages = map[string]struct {
	begin, end func(w *world)
	code       string
}{
	"down":     {func(w *world) { w.Down() }, func(w *world) { w.Up() }, "unreachable"},
	"killed":   {func(w *world) { w.Kill() }, func(w *world) { w.Restart() }, "unreachable"},
	"500":      {func(w *world) { w.BreakToken(providers.Status(500)) }, func(w *world) { w.Repair() }, "http_500"},
	"503":      {func(w *world) { w.BreakToken(providers.Status(503)) }, func(w *world) { w.Repair() }, "http_503"},
	"too slow": {func(w *world) { w.BreakToken(providers.NewGate().Hold) }, func(w *world) { w.Repair() }, "unreachable"},
}

// A provider that fails signs no visitor out. While the access token is valid, requests
// go on with it. Afterwards the tokens are refreshed once.
func TestOutages(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		for name, o := range outages {
			t.Run(name, func(t *testing.T) {
				s := w.newSite(t, func(set *setup) {
					threeInRedis(t)(set)
					set.config.HTTPClient = &http.Client{Timeout: patience}
					if name == "too slow" {
						set.config.HTTPClient.Timeout = 200 * time.Millisecond
					}
				})
				v := s.visitor()
				v.signIn()
				old := v.token()
				reused := w.Counts().Reused
				o.begin(w)
				s.clock.advance(time.Duration(s.Settings.Seconds-10) * time.Second) // due, and valid
				for _, a := range v.burst(30, "/token") {
					require.Equal(t, http.StatusOK, a.StatusCode, a.body)
					require.Equal(t, old, a.body)
				}
				s.expire()
				for _, a := range v.burst(30, "/token") {
					require.Equal(t, http.StatusServiceUnavailable, a.StatusCode, a.body)
					require.Equal(t, "transient "+o.code+"\n", a.body)
				}
				require.True(t, v.signedIn())
				o.end(w)
				s.clock.advance(time.Second)
				v.recover(t)
				require.Zero(t, s.count(oidcsession.EventSignedOut))
				require.LessOrEqual(t, w.Counts().Reused, reused)
			})
		}
	})
}

// recover sends requests until the tokens are refreshed: a connection that was cut may
// be found out late.
func (v *visitor) recover(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		a := v.step(http.MethodGet, "/token", nil)
		if a.StatusCode != http.StatusOK {
			require.Contains(t, a.body, "transient")
			v.clock.advance(time.Second)
			return false
		}
		v.requireValid(a.body)
		return true
	}, patience, 10*time.Millisecond)
}

// If the answer to a refresh is lost after the provider has rotated the refresh token,
// no one has the new one. The visitor stays signed in until the next try. That one is
// the reuse of the old refresh token, for which these providers end the grant, and so
// the session ends: the visitor must sign in again.
func TestLostAnswer(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		for name, c := range map[string]struct {
			change    func(s *setup)
			lostRaces bool // another replica may have the new token
		}{
			"one replica":    {nil, true},
			"with memory":    {func(s *setup) { s.store = memory }, false},
			"three in Redis": {threeInRedis(t), false},
		} {
			t.Run(name, func(t *testing.T) {
				s := w.newSite(t, c.change)
				v := s.visitor()
				v.signIn()
				w.BreakToken(providers.Lose)
				s.expire()
				before, _ := w.Refreshes()
				a := v.step(http.MethodGet, "/token", nil)
				w.Repair()
				require.Equal(t, "transient unreachable\n", a.body)
				require.True(t, v.signedIn())
				after, _ := w.Refreshes()
				require.Equal(t, before+1, after, "a refresh token is sent once for each try")

				s.clock.advance(time.Second)
				a = v.step(http.MethodGet, "/token", nil)
				if c.lostRaces {
					require.Equal(t, "lost race invalid_grant\n", a.body)
					require.True(t, v.signedIn())
					s.clock.advance(10 * time.Second)
					a = v.step(http.MethodGet, "/token", nil)
				}
				require.Equal(t, http.StatusUnauthorized, a.StatusCode)
				require.Contains(t, a.body, "permanent")
				require.False(t, v.signedIn())
				require.Equal(t, 1, s.count(oidcsession.EventSignedOut))
				v.signIn()
				v.token()
			})
		}
	})
}

// A replica that has just started knows nothing of the provider. It sends a refresh
// token once, too: the second time would end the grant.
func TestFirstCallOfAReplica(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		restarted := func(t *testing.T) *visitor {
			s := w.newSite(t, func(set *setup) { set.store = inRedis(t) })
			v := s.visitor()
			v.signIn()
			s.replicas[0] = s.newReplica(0)
			s.expire()
			return v
		}
		t.Run("lost answer", func(t *testing.T) {
			v := restarted(t)
			before, reusedBefore := w.Refreshes()
			w.BreakToken(providers.Lose)
			require.Equal(t, "transient unreachable\n", v.step(http.MethodGet, "/token", nil).body)
			w.Repair()
			after, reused := w.Refreshes()
			require.Equal(t, before+1, after)
			require.Equal(t, reusedBefore, reused)
		})
		t.Run("overloaded", func(t *testing.T) {
			v := restarted(t)
			before, _ := w.Refreshes()
			w.BreakToken(providers.Status(503))
			require.Equal(t, "transient http_503\n", v.step(http.MethodGet, "/token", nil).body)
			w.Repair()
			after, _ := w.Refreshes()
			require.Equal(t, before+1, after)
			v.clock.advance(time.Second)
			v.token()
		})
		t.Run("refused", func(t *testing.T) {
			v := restarted(t)
			thief := v.copy() // uses the token elsewhere, twice
			v.endGrant(t, thief)
			v.replicas[0] = v.newReplica(0)
			a := v.step(http.MethodGet, "/token", nil)
			require.Equal(t, http.StatusUnauthorized, a.StatusCode, a.body)
			require.Equal(t, "permanent invalid_grant\n", a.body)
		})
	})
}

// endGrant makes the provider end the grant: another program without the store uses a
// refresh token that was used.
func (v *visitor) endGrant(t *testing.T, thief *visitor) {
	t.Helper()
	s := v.site
	inStore := s.setup.store
	s.setup.store = nil
	other := s.newReplica(0)
	mine := s.replicas
	s.replicas = []http.Handler{other}
	thief.token()
	s.replicas = []http.Handler{s.newReplica(0)}
	again := v.copy()
	require.Equal(t, http.StatusServiceUnavailable, again.step(http.MethodGet, "/token", nil).StatusCode)
	s.setup.store, s.replicas = inStore, mine
}

// The provider is killed in the middle of a refresh. If it has used the refresh token up,
// the answer is lost; see TestLostAnswer. Otherwise the visitor goes on once it runs
// again. In both cases the outage itself signs no visitor out.
func TestProviderIsKilledWhileItRefreshes(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		s := w.newSite(t, threeInRedis(t))
		for _, used := range []bool{false, true, false} {
			v := s.visitor()
			v.signIn()
			s.expire()
			w.killAtRefresh(t, used)
			for _, a := range v.burst(20, "/token") {
				require.Equal(t, "transient unreachable\n", a.body)
			}
			require.True(t, v.signedIn())
			w.Repair()
			w.Restart()
			s.clock.advance(time.Second)
			a := v.step(http.MethodGet, "/token", nil)
			if !used {
				require.Equal(t, http.StatusOK, a.StatusCode, a.body)
				v.requireValid(a.body)
				continue
			}
			require.Equal(t, "permanent invalid_grant\n", a.body)
			require.Equal(t, 1, w.Counts().Reused)
		}
		require.Equal(t, 1, s.count(oidcsession.EventSignedOut))
	})
}

// killAtRefresh kills the provider when the next refresh comes, before or after it has
// used the refresh token up.
func (w *world) killAtRefresh(t *testing.T, used bool) {
	var once sync.Once
	w.BreakToken(func(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
		once.Do(func() {
			if used {
				forward.ServeHTTP(httptest.NewRecorder(), r.WithContext(t.Context()))
			}
			w.Kill()
		})
		panic(http.ErrAbortHandler)
	})
}

// The provider is killed at any moment of a refresh. Requests get an access token or a
// transient error, and the visitor a valid token or the result of a lost answer.
func TestProviderIsKilledAtAnyMoment(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		s := w.newSite(t, threeInRedis(t))
		kept, lost := 0, 0
		for range 3 * rounds(t) {
			v := s.visitor()
			v.signIn()
			s.expire()
			arrived := make(chan bool, 100)
			w.BreakToken(func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
				arrived <- true
				forward.ServeHTTP(rw, r)
			})
			var wg sync.WaitGroup
			wg.Go(func() { <-arrived; time.Sleep(rand.N(10 * time.Millisecond)); w.Kill() })
			for _, a := range v.burst(20, "/token") {
				if a.StatusCode != http.StatusOK {
					require.Equal(t, "transient unreachable\n", a.body)
				}
			}
			wg.Wait()
			require.True(t, v.signedIn())
			w.Repair()
			w.Restart()
			s.clock.advance(time.Second)
			if a := v.step(http.MethodGet, "/token", nil); a.StatusCode == http.StatusOK {
				v.requireValid(a.body)
				kept++
			} else {
				require.Equal(t, "permanent invalid_grant\n", a.body)
				require.Equal(t, 1, w.Counts().Reused, "only because the answer was lost")
				lost++
			}
		}
		require.Equal(t, lost, s.count(oidcsession.EventSignedOut))
		t.Logf("%d visitors go on, %d must sign in again", kept, lost)
	})
}

// The clocks of the program and of the provider may differ by a minute.
func TestClocksDiffer(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		w := newWorld(t, k, nil)
		for name, off := range map[string]time.Duration{"ahead": time.Minute, "behind": -time.Minute} {
			t.Run(name, func(t *testing.T) {
				s := w.newSite(t, threeInRedis(t))
				s.clock.advance(off)
				v := s.visitor()
				v.signIn()
				for range rounds(t) {
					v.refreshInBurst(t, 30, name)
				}
				require.Zero(t, s.count(oidcsession.EventRefreshFailed))
			})
		}
	})
}

// The clocks of replicas that share a store may differ by half a minute.
func TestClocksOfReplicasDiffer(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		s := newWorld(t, k, nil).newSite(t, func(set *setup) {
			threeInRedis(t)(set)
			set.skew = func(replica int) time.Duration { return time.Duration(replica-1) * 30 * time.Second }
		})
		v := s.visitor()
		v.signIn()
		for range 2 * rounds(t) {
			s.clock.advance(time.Minute) // past the end at all replicas
			v.refreshInBurst(t, 30, "replicas")
		}
		require.Zero(t, s.count(oidcsession.EventRefreshFailed))
	})
}
