package stores

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/fallback/sqlstore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// The round trips of requests, counted on the wire, are those in
// docs/stores.md.
func TestRoundTripsOfRequests(t *testing.T) {
	documented := documentedRoundTrips(t)
	for _, e := range engines[:2] {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			direct := e.open(t, dsn)
			server := hostOf(t, dsn)
			proxy := countTurns(t, server)
			db := e.open(t, strings.Replace(dsn, server, proxy.address, 1))
			db.SetMaxOpenConns(1)
			w := newWire(t, proxy, func(clock func() time.Time) fallback.Store {
				store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: e.newTable(t, direct, dsn), SweepEvery: -1, Clock: clock})
				require.NoError(t, store.Migrate(t.Context()))
				return store
			})
			require.Equal(t, documented, w.measure())
		})
	}
	t.Run("Redis", func(t *testing.T) {
		connectRedis(t)
		proxy := countTurns(t, redisAddress())
		client := redis.NewClient(&redis.Options{Addr: proxy.address, PoolSize: 1, DisableIdentity: true, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = client.Close() })
		prefix := "carryon-test:wire:" + strconv.FormatInt(time.Now().UnixNano(), 36) + ":"
		t.Cleanup(func() { clearRedis(t, prefix) })
		w := newWire(t, proxy, func(clock func() time.Time) fallback.Store {
			store, err := redisstore.New(client, redisstore.Options{Prefix: prefix, Clock: clock})
			require.NoError(t, err)
			return store
		})
		require.Equal(t, documented, w.measure())
	})
}

// A cost is a row of the table: its two columns of numbers.
type cost struct{ cookies, stored string }

// documentedRoundTrips reads the table in docs/stores.md.
func documentedRoundTrips(t *testing.T) map[string]cost {
	t.Helper()
	text, err := os.ReadFile("../../docs/stores.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "| the handler |")
	require.True(t, found)
	table, _, _ := strings.Cut(rest, "\n\n")
	all := map[string]cost{}
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(line, "|")
		require.Len(t, cells, 5, line)
		number := func(cell string) string { n, _, _ := strings.Cut(strings.TrimSpace(cell), ":"); return n }
		all[strings.TrimSpace(cells[1])] = cost{number(cells[2]), number(cells[3])}
	}
	return all
}

// A wire is a visitor of a program whose store is behind a counting proxy.
type wire struct {
	t       *testing.T
	proxy   *turns
	now     time.Time
	handler http.Handler
	jar     *sessiontest.Jar
}

func newWire(t *testing.T, proxy *turns, open func(clock func() time.Time) fallback.Store) *wire {
	t.Helper()
	w := &wire{t: t, proxy: proxy, now: time.Now()}
	clock := func() time.Time { return w.now }
	keys, err := keyring.Generate(w.now)
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: open(clock), Timeout: patience}, Clock: clock})
	require.NoError(t, err)
	w.handler = sessions.Handler(http.HandlerFunc(wireApp))
	return w
}

func wireApp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/nothing" {
		return
	}
	s := session.From(r.Context())
	switch r.URL.Path {
	case "/read":
		_ = s.Names()
	case "/put":
		size, _ := strconv.Atoi(r.FormValue("size"))
		body.Set(s, textOf(len(s.Names()), size))
	case "/change":
		n, _ := number.Get(s)
		number.Set(s, n+1)
	case "/renew":
		s.Renew()
	case "/bind":
		s.Login("somebody")
	case "/logout":
		s.Destroy()
	}
	if err := s.Err(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// ask sends a request and returns its round trips.
func (w *wire) ask(path string) string {
	w.t.Helper()
	before := w.proxy.count.Load()
	response := w.jar.Do(w.handler, w.jar.Request("GET", path, nil))
	require.Equal(w.t, http.StatusOK, response.StatusCode, path)
	return strconv.FormatInt(w.proxy.count.Load()-before, 10)
}

const (
	putSmall = "/put?size=80"
	putLarge = "/put?size=60000"
)

// begin gives the visitor a new session that this replica has written and read.
func (w *wire) begin(put string) {
	w.t.Helper()
	w.jar = &sessiontest.Jar{Clock: func() time.Time { return w.now }}
	w.ask(put)
	w.ask("/read")
}

// measure measures each kind of request, for a session in cookies and for one
// in the store. An earlier run makes connections and prepares statements.
func (w *wire) measure() (all map[string]cost) {
	for range 2 {
		all = map[string]cost{}
		of := func(row string, before time.Duration, path string, first ...string) {
			var c cost
			for put, into := range map[string]*string{putSmall: &c.cookies, putLarge: &c.stored} {
				w.begin(put)
				for _, path := range first {
					w.ask(path)
				}
				w.now = w.now.Add(before)
				*into = w.ask(path)
			}
			all[row] = c
		}
		of("does not use the session", 0, "/nothing")
		of("reads", 0, "/read")
		of("changes it", 0, "/change")
		of("reads when a touch is due", 65*time.Minute, "/read")
		of("renews it", 0, "/renew")
		of("renews it, after `Login`", 0, "/renew", "/bind", "/read")
		of("logs in by `Login`", 0, "/bind")
		of("logs out", 0, "/logout")
		of("reads, the first time in `Fallback.RevocationMaxAge`", time.Minute, "/read")
		of("the same, after `Login`", time.Minute, "/read", "/bind")
		w.begin(putSmall)
		up := w.ask(putLarge)
		w.begin(putLarge)
		all["makes it too large for cookies"] = cost{cookies: up}
		all["makes it small again"] = cost{stored: w.ask(putSmall)}
	}
	return all
}
