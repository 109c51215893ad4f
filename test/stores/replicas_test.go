package stores

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// Replicas of the playground run as processes, on an engine of their own behind
// a net/http proxy. Visitors with the cookie jar of net/http have sessions that
// change between 1 KB and 200 KB. Replicas and the engine are killed meanwhile.
// Every acknowledged value must be kept.

func TestReplicasOnPostgreSQL(t *testing.T) {
	s := startPostgres(t)
	replicas(t, "postgres://postgres@"+s.address+"/postgres?sslmode=disable&connect_timeout=1", s)
}

func TestReplicasOnMariaDB(t *testing.T) {
	s := startMariaDB(t)
	replicas(t, "mysql://root@"+s.address+"/test?timeout=1s&readTimeout=1s", s)
}

func TestReplicasOnRedis(t *testing.T) {
	s := startRedis(t, true)
	replicas(t, "redis://"+s.address, s)
}

// SQLite has no server to kill, so the test kills the processes that write to
// its file.
func TestReplicasOnSQLite(t *testing.T) {
	replicas(t, "sqlite:"+filepath.Join(t.TempDir(), "sessions.db"), nil)
}

func replicas(t *testing.T, store string, s *server) {
	if testing.Short() {
		t.Skip("this test takes several seconds")
	}
	f := startFleet(t, store)
	for i := range 3 {
		f.visit(fmt.Sprint("visitor ", i))
	}
	end := f.load()
	f.writes("at first")
	for i := range f.all {
		f.all[i].crash()
		f.writes("without replica", i)
		f.all[i].start()
	}
	if s != nil {
		refused := f.refused.Load()
		s.crash()
		eventually(t, "refused writes while the engine is down", func() bool { return f.refused.Load() > refused+5 })
		f.all[1].crash() // with requests in flight
		s.start()
		f.writes("with the engine restarted and without a replica")
		f.all[1].start()
	}
	f.writes("at the end")
	require.NoError(t, end())
	f.check()
}

// A fleet is three replicas and the proxy in front of them.
type fleet struct {
	t        *testing.T
	all      [3]*server
	front    *httptest.Server
	next     atomic.Int64 // the replica for the next request
	visitors []*tabbedVisitor
	refused  atomic.Int64
}

// A guest is a visitor with two tabs that each write a value, and one that
// reads.
type tabbedVisitor struct {
	name   string
	fleet  *fleet
	client *http.Client
	tabs   [2]*tab
}

type tab struct{ attempted, acknowledged atomic.Int64 }

// built is the folder of the program, if it was built.
var built string

// playground builds the program once.
var playground = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "carryon-replicas-")
	if err != nil {
		return "", err
	}
	built = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "playground"), "./playground")
	build.Dir = filepath.Join("..", "..", "examples")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join(dir, "playground"), nil
})

func startFleet(t *testing.T, store string) *fleet {
	t.Helper()
	program, err := playground()
	require.NoError(t, err)
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	keys := filepath.Join(t.TempDir(), "keys.json")
	require.NoError(t, os.WriteFile(keys, text, 0o600))

	f := &fleet{t: t}
	for i := range f.all {
		address, _ := freeAddress(t)
		f.all[i] = (&server{address: address, stop: syscall.SIGKILL, ping: answers("http://" + address + "/healthz"),
			args: []string{program, "-addr", address, "-keys", keys, "-store", store, "-store-timeout", "1s", "-touch", "-1s"}}).run(t)
	}
	f.front = httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetXForwarded() },
		Transport:    f,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     log.New(io.Discard, "", 0),
	})
	t.Cleanup(f.front.Close)
	return f
}

// RoundTrip sends requests to the replicas in turn. If a replica is unreachable
// it tries another one, but it never sends a request twice.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	var err error
	for range f.all {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host = "http", f.all[f.next.Add(1)%int64(len(f.all))].address
		out.Body = io.NopCloser(bytes.NewReader(body))
		var response *http.Response
		if response, err = http.DefaultTransport.RoundTrip(out); err == nil {
			return response, nil
		}
		var refused *net.OpError
		if !errors.As(err, &refused) || refused.Op != "dial" {
			return nil, err
		}
	}
	return nil, err
}

func (f *fleet) visit(name string) {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(f.t, err)
	g := &tabbedVisitor{name: name, fleet: f, client: &http.Client{Jar: jar, Transport: f.front.Client().Transport, Timeout: patience}}
	for i := range g.tabs {
		g.tabs[i] = &tab{}
	}
	// Concurrent requests without a session each begin one, and only one
	// remains. So the first write is sent alone.
	require.NoError(f.t, g.write(0))
	require.NotZero(f.t, g.tabs[0].acknowledged.Load())
	f.visitors = append(f.visitors, g)
}

func (g *tabbedVisitor) ask(method, path, body string) (int, string, error) {
	request, err := http.NewRequest(method, g.fleet.front.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	response, err := g.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) { // the replica was killed while it answered
		return http.StatusBadGateway, "", nil
	}
	return response.StatusCode, string(text), err
}

// sizes lists the session sizes: in one cookie, in several, and in the store.
var sizes = []int{1_000, 2_500, 8_000, 30_000, 100_000}

// write sends the next number of a tab. A write that gets status 503, or 502
// because the replica was killed, may or may not be stored.
func (g *tabbedVisitor) write(i int) error {
	tab := g.tabs[i]
	n := tab.attempted.Add(1)
	status, text, err := g.ask("PUT", fmt.Sprint("/api/values/tab", i), textOf(int(n), sizes[rand.IntN(len(sizes))]))
	switch {
	case err != nil:
		return err
	case status == http.StatusNoContent:
		tab.acknowledged.Store(n)
	case status == http.StatusServiceUnavailable || status == http.StatusBadGateway:
		g.fleet.refused.Add(1)
	default:
		return fmt.Errorf("a write got status %d: %.300s", status, text)
	}
	return nil
}

// read checks the last number of a tab and its text. It returns whether the
// read succeeded.
func (g *tabbedVisitor) read(i int) (answered bool, err error) {
	tab := g.tabs[i]
	acknowledged := tab.acknowledged.Load()
	status, text, err := g.ask("GET", fmt.Sprint("/api/values/tab", i), "")
	switch {
	case err != nil:
		return false, err
	case status == http.StatusServiceUnavailable || status == http.StatusBadGateway:
		return false, nil
	case status == http.StatusNotFound && acknowledged == 0:
		return true, nil
	case status != http.StatusOK || len(text) < 8:
		return true, fmt.Errorf("number %d of tab %d was acknowledged, but a read got status %d: %.300s", acknowledged, i, status, text)
	}
	var n int64
	_, err = fmt.Sscanf(text[:8], "%08d", &n)
	switch last := tab.attempted.Load(); {
	case err != nil || text != textOf(int(n), len(text)):
		err = fmt.Errorf("tab %d read a value that was never written: %.40q", i, text)
	case n < acknowledged || n > last:
		err = fmt.Errorf("number %d of tab %d was acknowledged and %d sent last, but a read got %d", acknowledged, i, last, n)
	}
	return true, err
}

// load starts all tabs of all visitors. The returned function stops them and
// returns the first error.
func (f *fleet) load() (end func() error) {
	stop := make(chan struct{})
	wrong := make(chan error, 3*len(f.visitors))
	var group sync.WaitGroup
	for _, g := range f.visitors {
		for _, act := range []func() error{
			func() error { return g.write(0) },
			func() error { return g.write(1) },
			func() error { _, err := g.read(rand.IntN(len(g.tabs))); return err },
		} {
			group.Go(func() {
				if err := again(stop, act); err != nil {
					wrong <- fmt.Errorf("%s: %w", g.name, err)
				}
			})
		}
	}
	return func() (err error) {
		close(stop)
		group.Wait()
		close(wrong)
		for w := range wrong {
			err = errors.Join(err, w)
		}
		return err
	}
}

// writes waits until every tab has written again.
func (f *fleet) writes(when ...any) {
	f.t.Helper()
	for _, g := range f.visitors {
		for i, tab := range g.tabs {
			before := tab.acknowledged.Load()
			eventually(f.t, fmt.Sprint(g.name, ", tab ", i, ", to write again ", when), func() bool { return tab.acknowledged.Load() > before })
		}
	}
}

// check reads every value after the load, and checks the output of the
// replicas.
func (f *fleet) check() {
	f.t.Helper()
	var acknowledged int64
	for _, g := range f.visitors {
		for i, tab := range g.tabs {
			eventually(f.t, "a response with the value", func() bool {
				answered, err := g.read(i)
				require.NoError(f.t, err, g.name)
				return answered
			})
			acknowledged += tab.acknowledged.Load()
		}
	}
	for _, s := range f.all {
		s.crash() // stopped, so its output can be read
		require.NotContains(f.t, s.said.String(), "carryon: "+string(middleware.EventRefused), "no session may be corrupt, missing or rolled back")
	}
	f.t.Logf("%d writes were acknowledged, %d refused", acknowledged, f.refused.Load())
}
