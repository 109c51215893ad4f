package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// fleetTime is the time of these tests.
var fleetTime = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// A fleetServer is a replica: a server on a port of its own that reads a ring
// from a file of its own.
type fleetServer struct {
	*httptest.Server
	file string
	ring *keyring.Ring
	keys *keyring.Keys
	late time.Duration // by which its clock is wrong
}

func newFleetServer(t *testing.T, ring *keyring.Ring) *fleetServer {
	s := &fleetServer{file: filepath.Join(t.TempDir(), "ring.json"), ring: ring}
	require.NoError(t, (&ui{}).createRing(s.file, ring))
	keys, err := keyring.Open(t.Context(), keyring.File(s.file), keyring.OnReload(func(keyring.ReloadEvent) {}),
		keyring.Clock(func() time.Time { return fleetTime.Add(s.late) }))
	require.NoError(t, err)
	s.keys = keys
	mux := http.NewServeMux()
	mux.Handle("/keys", keys.FleetHandler())
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// deploy gives the replica another ring.
func (s *fleetServer) deploy(t *testing.T, ring *keyring.Ring) {
	text, err := ring.Marshal()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.file, text, 0o600))
	require.Equal(t, ring.Fingerprint(), s.keys.Refresh(t.Context()).Fingerprint())
	s.ring = ring
}

func (s *fleetServer) at() string { return s.URL + "/keys" }

// ringWithStaged returns a ring whose key has been active for ten days, and the same
// with another key that becomes active in an hour.
func ringWithStaged(t *testing.T) (ring, next *keyring.Ring, staged string) {
	ring, err := keyring.Generate(fleetTime.AddDate(0, 0, -10))
	require.NoError(t, err)
	next, change, err := ring.Rotate(fleetTime, keyring.Policy{})
	require.NoError(t, err)
	return ring, next, change.Added.ID().String()
}

func TestFleetFollowsARotation(t *testing.T) {
	ring, next, staged := ringWithStaged(t)
	active := ring.Active(fleetTime).ID().String()
	a, b, c := newFleetServer(t, ring), newFleetServer(t, ring), newFleetServer(t, ring)
	ask := func(more ...string) (int, string, string) {
		return call(fleetTime, "", append([]string{"keys", "fleet", a.at(), b.at(), c.at()}, more...)...)
	}
	code, out, said := ask()
	require.Zero(t, code, said)
	require.Empty(t, said)
	require.Regexp(t, `^REPLICA +FINGERPRINT       ACTIVE    STAGED\n`, out)
	for _, s := range []*fleetServer{a, b, c} {
		require.Contains(t, out, "\n"+s.at()+"  "+ring.Fingerprint()+"  "+active+"  -\n")
	}
	require.True(t, strings.HasSuffix(out, "\n\nok: 3 replicas, all with fingerprint "+ring.Fingerprint()+"\n"), out)

	// The staged key is known to one of them, then to two, then to all.
	b.deploy(t, next)
	lacks := func(s *fleetServer) string {
		return "carryon: problem: " + s.at() + " lacks staged key " + staged + ", which becomes active at 2026-01-31T13:00:00Z\n"
	}
	code, out, said = ask()
	require.Equal(t, exitFail, code)
	require.Equal(t, lacks(a)+lacks(c)+"carryon: error: 2 problems among 3 replicas\n", said)
	require.Contains(t, out, b.at()+"  "+next.Fingerprint()+"  "+active+"  "+staged+"\n")
	a.deploy(t, next)
	code, _, said = ask()
	require.Equal(t, exitFail, code)
	require.Equal(t, lacks(c)+"carryon: error: 1 problem among 3 replicas\n", said)
	c.deploy(t, next)
	code, out, said = ask("--keys", c.file)
	require.Zero(t, code, said)
	require.True(t, strings.HasSuffix(out, "\nok: 3 replicas, all with fingerprint "+next.Fingerprint()+
		"\nstaged key "+staged+" is known everywhere; it becomes active at 2026-01-31T13:00:00Z\n"), out)
	for _, secret := range secretsOf(t, marshaled(t, next)) {
		require.NotContains(t, out+said, secret)
	}
}

func marshaled(t *testing.T, ring *keyring.Ring) string {
	text, err := ring.Marshal()
	require.NoError(t, err)
	return string(text)
}

// A ring that no replica has yet, because it was not deployed.
func TestFleetThatLacksTheNamedRing(t *testing.T) {
	ring, next, staged := ringWithStaged(t)
	a := newFleetServer(t, ring)
	file := newFleetServer(t, next).file
	code, _, said := call(fleetTime, "", "keys", "fleet", "--keys", file, a.at())
	require.Equal(t, exitFail, code)
	require.Contains(t, said, "problem: "+a.at()+" lacks staged key "+staged)
	code, _, said = call(fleetTime.Add(2*time.Hour), "", "keys", "fleet", "--keys", file, a.at())
	require.Equal(t, exitFail, code)
	require.Contains(t, said, "problem: "+a.at()+" lacks key "+staged+", which seals already; it does not recognise those sessions")
	require.Contains(t, said, "warning: the clock of "+a.at()+" is -2h0m0s from ours; sessions tolerate 30s")
}

// A replica that missed a revocation has another ring, though it lacks no key.
func TestFleetThatMissedARevocation(t *testing.T) {
	_, next, staged := ringWithStaged(t)
	id, err := keyring.ParseID(staged)
	require.NoError(t, err)
	revoked, _, err := next.Revoke(id, fleetTime)
	require.NoError(t, err)
	a, b := newFleetServer(t, revoked), newFleetServer(t, next)
	code, _, said := call(fleetTime, "", "keys", "fleet", "--keys", a.file, a.at(), b.at())
	require.Equal(t, exitFail, code)
	require.Equal(t, "carryon: problem: "+b.at()+" has another ring, "+next.Fingerprint()+" instead of "+revoked.Fingerprint()+
		"\ncarryon: error: 1 problem among 2 replicas\n", said)
	code, _, _ = call(fleetTime, "", "keys", "fleet", a.at(), b.at())
	require.Equal(t, exitFail, code, "and they differ, whichever is right")
}

// Everything that can be at a URL, except a replica.
func TestFleetThatDoesNotAnswer(t *testing.T) {
	ring, _, _ := ringWithStaged(t)
	good := newFleetServer(t, ring)
	const closed = "http://127.0.0.1:1" // no server has this port
	hangs := make(chan struct{})
	answers := map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"nothing there":   {http.NotFound, "the status is 404"},
		"behind a login":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good.at(), http.StatusFound) }, "the status is 302"},
		"a page":          {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<!doctype html>\x1b[31m") }, "not a report"},
		"nothing":         {func(w http.ResponseWriter, r *http.Request) {}, "not a report"},
		"a later version": {replace(good, `"version":1`, `"version":2`), "version 2"},
		"no keys": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"version":1,"fingerprint":"0123456789abcdef"}`)
		}, "not a report"},
		"a wrong id":       {replace(good, `"id":"`, `"id":"\u001b`), "not a report"},
		"a wrong state":    {replace(good, `"active",`, `"revoked",`), "not a report"},
		"a wrong time":     {replace(good, `"time":"2026`, `"time":"soon`), "not a report"},
		"a wrong print":    {replace(good, `"fingerprint":"`, `"fingerprint":"\n`), "not a report"},
		"too much":         {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 10<<20)) }, "larger than 65536 bytes"},
		"too much header":  {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "exceeded"},
		"hangs":            {func(w http.ResponseWriter, r *http.Request) { <-hangs }, "it takes too long; see --timeout"},
		"hangs after half": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{"); w.(http.Flusher).Flush(); <-hangs }, "it takes too long; see --timeout"},
	}
	defer close(hangs)
	for name, tt := range answers {
		server := httptest.NewServer(tt.handler)
		t.Cleanup(server.Close) // after the handlers have ended
		timeout := "1h"
		if strings.HasPrefix(name, "hangs") {
			timeout = "50ms"
		}
		code, out, said := call(fleetTime, "", "keys", "fleet", "--timeout", timeout, server.URL)
		require.Equal(t, exitFail, code, name)
		require.Contains(t, said, "problem: "+server.URL+" does not answer: ", name)
		require.Contains(t, said, tt.want, name)
		require.NotContains(t, out+said, "\x1b", name)
		require.Equal(t, 2, strings.Count(said, "\n"), said)
	}
	code, out, said := call(fleetTime, "", "keys", "fleet", good.at(), strings.Replace(closed, "http://", "http://user:hunter2@", 1))
	require.Equal(t, exitFail, code)
	require.Contains(t, said, "problem: "+strings.Replace(closed, "http://", "http://user:xxxxx@", 1)+" does not answer: ")
	require.Contains(t, said, "refused")
	require.NotContains(t, out+said, "hunter2")
	require.Contains(t, out, "\n"+good.at()+" ", "the others are printed")
}

// replace returns the answer of a replica with a change.
func replace(s *fleetServer, old, new string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		s.keys.FleetHandler().ServeHTTP(rec, r)
		if !strings.Contains(rec.Body.String(), old) {
			panic("the report has no " + old)
		}
		fmt.Fprint(w, strings.Replace(rec.Body.String(), old, new, 1))
	}
}

// All addresses of a host are asked, each with the host's name in the request.
func TestFleetBehindOneName(t *testing.T) {
	ring, next, staged := ringWithStaged(t)
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(first.Addr().String())
	require.NoError(t, err)
	second, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		first.Close()
		t.Skip("this system has no second loopback address: " + err.Error())
	}
	asked := make(chan string, 10)
	for listener, ring := range map[net.Listener]*keyring.Ring{first: ring, second: next} {
		replica := newFleetServer(t, ring)
		go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Host
			replica.keys.FleetHandler().ServeHTTP(w, r)
		}))
		defer listener.Close()
	}
	old := lookup
	defer func() { lookup = old }()
	lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
		require.Equal(t, "web-headless", host)
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::ffff:127.0.0.2")}, nil
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.3:1") // is not used
	at := "http://web-headless:" + port + "/keys"
	code, out, said := call(fleetTime, "", "keys", "fleet", "--all-addresses", at)
	require.Equal(t, exitFail, code, out)
	require.Equal(t, "carryon: problem: "+at+" (127.0.0.1) lacks staged key "+staged+", which becomes active at 2026-01-31T13:00:00Z\n"+
		"carryon: error: 1 problem among 2 replicas\n", said)
	for range 2 {
		require.Equal(t, "web-headless:"+port, <-asked)
	}

	lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "web"}
	}
	code, _, said = call(fleetTime, "", "keys", "fleet", "--all-addresses", at)
	require.Equal(t, exitFail, code)
	require.Contains(t, said, "no such host")
}

// A program may mount the handler among pages that use the session. It reads no
// session and sets no cookie: a response that depended on one would say so.
func TestFleetHandlerReadsNoSession(t *testing.T) {
	ring, _, _ := ringWithStaged(t)
	replica := newFleetServer(t, ring)
	sessions, err := middleware.New(middleware.Config{Keys: replica.keys})
	require.NoError(t, err)
	site := httptest.NewServer(sessions.Handler(replica.keys.FleetHandler()))
	defer site.Close()
	request, err := http.NewRequest(http.MethodGet, site.URL, nil)
	require.NoError(t, err)
	request.Header.Set("Cookie", "__Host-session=AeqPiUAAAJ8WWVuAq9Ic6maDibkYWC5y")
	answer, err := site.Client().Do(request)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	require.Empty(t, answer.Header.Values("Set-Cookie"))
	require.NotContains(t, answer.Header.Values("Vary"), "Cookie")
	code, _, said := call(fleetTime, "", "keys", "fleet", site.URL)
	require.Zero(t, code, said)
}

func TestFleetIsCalledCorrectly(t *testing.T) {
	for _, args := range [][]string{
		{}, {"web:9090"}, {"ftp://web/keys"}, {"http:///keys"}, {"/keys"}, {"http://web/%zz"}, {"http://web/keys", "--timeout", "0s"}, {"http://web/keys", "--timeout", "-1s"},
	} {
		code, _, said := call(fleetTime, "", append([]string{"keys", "fleet"}, args...)...)
		require.Equal(t, exitUsage, code, "%v: %s", args, said)
	}
	code, _, said := call(fleetTime, "", "keys", "fleet", "--keys", "none.json", "http://web/keys")
	require.Equal(t, exitFail, code)
	require.Contains(t, said, "none.json")
}

func FuzzParseReport(f *testing.F) {
	ring, err := keyring.Generate(fleetTime)
	require.NoError(f, err)
	f.Add([]byte(`{"version":1,"fingerprint":"` + ring.Fingerprint() + `","time":"2026-01-31T12:00:00Z","keys":[{"id":"01234567","state":"active","active":"2026-01-31T12:00:00Z"}]}`))
	f.Add([]byte(`{"version":1,"fingerprint":"0123456789abcdef","time":"x","keys":[{"id":"\u001b","state":"staged","active":""}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseReport(text)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 100)
			return
		}
		require.NotEmpty(t, r.Keys)
		at, err := url.Parse("http://web/keys")
		require.NoError(t, err)
		var out strings.Builder
		fleet := fleet{ui: &ui{out: &out, err: &out, now: time.Now}, replicas: []*replica{{target: target{url: at}, fleetReport: r}}}
		require.NoError(t, fleet.table())
		require.Regexp(t, `^[ -~\n]+$`, out.String(), "a report cannot control the terminal")
	})
}
