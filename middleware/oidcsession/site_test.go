package oidcsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// claims are what the program of these tests needs.
type claims struct {
	Name string `json:"name"`
}

// offset is a clock that a test can move.
type offset struct {
	mu sync.Mutex
	d  time.Duration
}

func (o *offset) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Now().Add(o.d)
}

func (o *offset) advance(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.d += d
}

// site is a program with several replicas, and one visitor's browser.
type site struct {
	t        *testing.T
	provider *provider
	replicas []*httptest.Server
	auths    []*Auth[claims]
	clock    *offset
	jar      *sessiontest.Jar
	client   *http.Client

	mu     sync.Mutex
	events []Event
	front  int // the replica that answers next
}

type setup struct {
	replicas int
	sessions middleware.Config
	config   Config
}

// newSite returns a program behind a front that passes requests to its replicas in
// turn.
func newSite(t *testing.T, change func(*setup)) *site {
	s := &site{t: t, provider: newProvider(t), clock: &offset{}}
	s.provider.now = s.clock.now
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	set := setup{replicas: 1}
	set.sessions = middleware.Config{Keys: ring, Clock: s.clock.now}
	front := httptest.NewServer(http.HandlerFunc(s.serveFront))
	t.Cleanup(front.Close)
	set.config = Config{Issuer: s.provider.URL, ClientID: "client", ClientSecret: "secret", RedirectURL: front.URL + "/auth/callback",
		Clock: s.clock.now, Observer: s.observe}
	if change != nil {
		change(&set)
	}
	for range set.replicas {
		s.addReplica(set)
	}
	s.jar = &sessiontest.Jar{URL: front.URL, Clock: s.clock.now}
	s.client = &http.Client{}
	s.useJar(s.jar)
	return s
}

// useJar gives the visitor another browser.
func (s *site) useJar(jar *sessiontest.Jar) {
	s.jar, s.client.Jar = jar, onlyHere{jar, jar.URL}
}

// onlyHere is a jar for requests to one site.
type onlyHere struct {
	*sessiontest.Jar
	site string
}

func (j onlyHere) Cookies(u *url.URL) []*http.Cookie {
	if !strings.HasPrefix(u.String(), j.site) {
		return nil
	}
	return j.Jar.Cookies(u)
}

func (j onlyHere) SetCookies(u *url.URL, c []*http.Cookie) {
	if strings.HasPrefix(u.String(), j.site) {
		j.Jar.SetCookies(u, c)
	}
}

func (s *site) addReplica(set setup) {
	sessions, err := middleware.New(set.sessions)
	require.NoError(s.t, err)
	set.config.Sessions = sessions
	auth, err := New[claims](s.t.Context(), set.config)
	require.NoError(s.t, err)
	mux := http.NewServeMux()
	mux.Handle("/auth/", auth)
	serveToken := func(w http.ResponseWriter, r *http.Request) {
		token, err := auth.Token(r.Context())
		var failed *RefreshError
		switch {
		case errors.As(err, &failed):
			http.Error(w, string(failed.Kind)+" "+failed.Code, StatusOf(err))
		case err != nil:
			http.Error(w, err.Error(), StatusOf(err))
		default:
			fmt.Fprint(w, token.AccessToken)
		}
	}
	mux.HandleFunc("/token", serveToken)
	mux.HandleFunc("/refresh", func(w http.ResponseWriter, r *http.Request) {
		token, err := auth.Refresh(r.Context(), &oauth2.Token{AccessToken: r.FormValue("refused")})
		if err != nil {
			http.Error(w, err.Error(), StatusOf(err))
			return
		}
		fmt.Fprint(w, token.AccessToken)
	})
	mux.HandleFunc("/keep", func(_ http.ResponseWriter, r *http.Request) {
		session.Key[string]("cart").Set(session.From(r.Context()), "kept")
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		serveToken(w, r)
	})
	mux.HandleFunc("/public", func(w http.ResponseWriter, r *http.Request) {
		user, ok := auth.User(r.Context())
		fmt.Fprintf(w, "%s %v %v", user.Name, ok, session.From(r.Context()).Names())
	})
	mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := auth.User(r.Context())
		fmt.Fprintf(w, "%s at %s", user.Name, r.URL.RequestURI())
	})))
	server := httptest.NewServer(sessions.Handler(mux))
	s.t.Cleanup(server.Close)
	s.replicas, s.auths = append(s.replicas, server), append(s.auths, auth)
}

// serveFront passes a request to the next replica.
func (s *site) serveFront(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	server := s.replicas[s.front%len(s.replicas)]
	s.front++
	s.mu.Unlock()
	server.Config.Handler.ServeHTTP(w, r)
}

func (s *site) observe(_ context.Context, e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *site) count(kind EventKind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

type answer struct {
	*http.Response
	body string
}

func read(t *testing.T, r *http.Response, err error) answer {
	t.Helper()
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return answer{r, string(body)}
}

// get follows redirects like a browser that asks for a page.
func (s *site) get(path string) answer {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.jar.URL+path, nil)
	require.NoError(s.t, err)
	r.Header.Set("Accept", "text/html")
	response, err := s.client.Do(r)
	return read(s.t, response, err)
}

// step sends one request with the jar's cookies and follows no redirect.
func (s *site) step(method, address string) answer {
	s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = s.jar.URL + address
	}
	r, err := http.NewRequest(method, address, nil)
	require.NoError(s.t, err)
	r.Header.Set("Accept", "text/html")
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	return read(s.t, response, err)
}

// begin opens a page and returns the provider's address to which it redirects.
func (s *site) begin(page string) string {
	s.t.Helper()
	a := s.step(http.MethodGet, page)
	for strings.HasPrefix(a.Header.Get("Location"), "/") {
		a = s.step(http.MethodGet, a.Header.Get("Location"))
	}
	require.True(s.t, strings.HasPrefix(a.Header.Get("Location"), s.provider.URL), "%d %s", a.StatusCode, a.body)
	return a.Header.Get("Location")
}

// pass signs in at the provider and returns the callback's address.
func (s *site) pass(authorization string) string {
	s.t.Helper()
	location := s.step(http.MethodGet, authorization).Header.Get("Location")
	require.True(s.t, strings.HasPrefix(location, s.jar.URL), location)
	return location
}

// burst sends n requests with the same cookies at once.
func (s *site) burst(n int, path string) []answer {
	header := s.jar.Header("")
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, _ := http.NewRequest(http.MethodGet, s.replicas[i%len(s.replicas)].URL+path, nil)
			r.Header.Set("Cookie", header)
			response, err := http.DefaultTransport.RoundTrip(r)
			answers[i] = read(s.t, response, err)
		})
	}
	wg.Wait()
	return answers
}

func (s *site) receive(a answer) {
	for _, line := range a.Header.Values("Set-Cookie") {
		require.True(s.t, s.jar.Set(line))
	}
}

func withStore(set *setup) {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	if err != nil {
		panic(err)
	}
	set.sessions.Fallback.Store = store
}
