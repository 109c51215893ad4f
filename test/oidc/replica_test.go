package oidc_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/internal/process"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// asReplica makes the test binary serve the program.
var asReplica = flag.String("replica", "", "for processes that the tests start: the settings of a replica, as JSON")

// replicaSettings are the settings of a replica that is a process of its own.
type replicaSettings struct {
	Name     string // sent to the provider
	Issuer   string
	Redirect string
	Ring     []byte
	Redis    string // address
	Prefix   string // of the keys; "": no store
	Platform middleware.Platform
}

// serveReplica serves the program, and never returns.
func serveReplica(text string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(err)
	h := replicaHandler(text)
	go func() { fatal(http.Serve(listener, h)) }()
	fmt.Println("http://" + listener.Addr().String())
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	os.Exit(0)
}

// replicaHandler returns the program with its settings, and a route that moves its clock.
func replicaHandler(text string) http.Handler {
	var set replicaSettings
	fatal(json.Unmarshal([]byte(text), &set))
	ring, err := keyring.Parse(set.Ring)
	fatal(err)
	clock := &offset{}
	sessions := middleware.Config{Keys: ring, Clock: clock.now, Platform: set.Platform}
	if set.Prefix != "" {
		client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{set.Redis}})
		sessions.Fallback.Store, err = redisstore.New(client, redisstore.Options{Prefix: set.Prefix, Clock: clock.now})
		fatal(err)
	}
	program, err := newProgram(context.Background(), sessions, oidcsession.Config{
		Issuer: set.Issuer, ClientID: providers.ClientID, ClientSecret: providers.Secret, RedirectURL: set.Redirect,
		Scopes: []string{"profile", "offline_access"}, Parameters: url.Values{"prompt": {"consent"}},
		Clock: clock.now, HTTPClient: &http.Client{Timeout: patience, Transport: named(set.Name)},
	})
	fatal(err)
	mux := http.NewServeMux()
	mux.Handle("/", program)
	mux.HandleFunc("POST /advance", func(_ http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("by"))
		fatal(err)
		clock.advance(d)
	})
	return mux
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// named is a transport that says which replica sends a request.
type named string

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Replica", string(n))
	return http.DefaultTransport.RoundTrip(r)
}

// startReplicas replaces the replicas of a site by processes.
func (s *site) startReplicas(n int) (all []*process.Process) {
	s.t.Helper()
	program, err := os.Executable()
	require.NoError(s.t, err)
	ring, err := s.setup.sessions.Keys.(*keyring.Ring).Marshal()
	require.NoError(s.t, err)
	set := replicaSettings{Issuer: s.URL, Redirect: s.setup.config.RedirectURL, Ring: ring, Redis: redisAddress(), Prefix: newPrefix(s.t)}
	var handlers []http.Handler
	for i := range n {
		set.Name = fmt.Sprint(i)
		text, err := json.Marshal(set)
		require.NoError(s.t, err)
		p := process.Start(s.t, program, "-replica", string(text))
		u, err := url.Parse(p.URL)
		require.NoError(s.t, err)
		proxy := httputil.NewSingleHostReverseProxy(u)
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
		all, handlers = append(all, p), append(handlers, proxy)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas = handlers
	return all
}

// A replica is killed while it refreshes. Another one takes over ten seconds later, and
// the requests that wait get the new token. If the provider had used the refresh token
// up, its answer was lost; see TestLostAnswer.
func TestReplicaIsKilledWhileItRefreshes(t *testing.T) {
	providers.Each(t, func(t *testing.T, k providers.Kind) {
		for name, used := range map[string]bool{"before the provider has answered": false, "after it has": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newWorld(t, k, nil).newSite(t, nil)
				fleet := s.startReplicas(3)
				v := s.visitor()
				v.signIn()
				old := v.token()
				for _, p := range fleet {
					response, err := http.PostForm(p.URL+"/advance", url.Values{"by": {fmt.Sprint(s.Settings.Seconds+1) + "s"}})
					require.NoError(t, err)
					require.Equal(t, http.StatusOK, response.StatusCode)
					response.Body.Close()
				}
				s.killHolder(fleet, used)
				answers := v.burst(12, "/token")
				killed := 0
				for _, a := range answers {
					switch {
					case a.StatusCode == http.StatusBadGateway:
						killed++
					case used:
						require.Equal(t, "permanent invalid_grant\n", a.body)
					default:
						require.Equal(t, http.StatusOK, a.StatusCode, a.body)
						require.NotEqual(t, old, a.body)
					}
				}
				require.NotZero(t, killed)
				require.Less(t, killed, len(answers))
				s.removeKilled(fleet)
				require.Equal(t, !used, v.signedIn())
				if !used {
					v.token()
					require.Equal(t, 1, s.Counts().Refreshes)
					require.Zero(t, s.Counts().Reused)
				}
			})
		}
	})
}

// removeKilled makes the front pass no more requests to replicas that were killed.
func (s *site) removeKilled(fleet []*process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []http.Handler
	for i, p := range fleet {
		if !p.Killed() {
			left = append(left, s.replicas[i])
		}
	}
	s.replicas = left
}

// killHolder kills the replica that sends the next refresh, before or after the provider
// has used the refresh token up.
func (s *site) killHolder(fleet []*process.Process, used bool) {
	first := make(chan bool, 1)
	first <- true
	s.BreakToken(func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		select {
		case <-first:
		default:
			forward.ServeHTTP(w, r)
			return
		}
		if used {
			forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		for i, p := range fleet {
			if r.Header.Get("X-Replica") == fmt.Sprint(i) {
				p.Kill()
			}
		}
		panic(http.ErrAbortHandler)
	})
}
