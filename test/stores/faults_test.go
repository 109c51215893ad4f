package stores

import (
	"database/sql"
	"fmt"
	"net/http"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/fallback/sqlstore"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// The store, and the network between a program and the store, fail under load.
// No session may be corrupted, every write that got status 200 must be stored,
// sessions in cookies continue to work, and all goroutines end.

func TestFaultsPostgreSQL(t *testing.T) {
	s := startPostgres(t)
	faults(t, s, func(address string) (fallback.Store, func()) {
		return sqlOver(t, sqlstore.Postgres, "pgx", postgresDSN(address))
	})
}

func TestFaultsMariaDB(t *testing.T) {
	s := startMariaDB(t)
	faults(t, s, func(address string) (fallback.Store, func()) {
		return sqlOver(t, sqlstore.MySQL, "mysql", mariaDSN(address))
	})
}

// With appendfsync always, Redis is as durable as a database.
func TestFaultsRedis(t *testing.T) {
	s := startRedis(t, true)
	faults(t, s, func(address string) (fallback.Store, func()) { return redisOver(t, address) })
}

func sqlOver(t *testing.T, d sqlstore.Dialect, driver, dsn string) (fallback.Store, func()) {
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	store := newStore(t, db, sqlstore.Options{Dialect: d})
	require.NoError(t, store.Migrate(t.Context()))
	return store, func() { _ = db.Close() }
}

func redisOver(t *testing.T, address string) (fallback.Store, func()) {
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{address}})
	store, err := redisstore.New(client, redisstore.Options{})
	require.NoError(t, err)
	return store, func() { _ = client.Close() }
}

// swing lists sizes below and above the limit of cookies.
var swing = []int{80, 400, 1500, 9_000, 60_000, 200_000}

// A fault is a failure and its repair.
type fault struct {
	name  string
	begin func(p *proxy, s *server)
	end   func(p *proxy, s *server)
}

func toxic(name string, toxics ...string) fault {
	return fault{name, func(p *proxy, _ *server) { p.inject(toxics...) }, func(p *proxy, _ *server) { p.heal() }}
}

var allFaults = []fault{
	toxic("latency", `{"type":"latency","stream":"upstream","attributes":{"latency":600}}`,
		`{"type":"latency","stream":"downstream","attributes":{"latency":600}}`),
	toxic("reset", `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`),
	toxic("requests vanish", `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`),
	toxic("answers vanish", `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`),
	{"restart", func(_ *proxy, s *server) { s.crash() }, func(_ *proxy, s *server) { s.start() }},
}

func faults(t *testing.T, s *server, open func(address string) (fallback.Store, func())) {
	if testing.Short() {
		t.Skip("this test takes several seconds")
	}
	// Do not count goroutines that other tests left to end by themselves.
	before := settled()
	network := newProxy(t, s.address)
	store, closeStore := open(network.Listen)
	stored, auto := newSite(t, middleware.AlwaysStored, store), newSite(t, middleware.Auto, store)
	for i := range 3 {
		stored.visit(fmt.Sprint("stored ", i), swing...)
		auto.visit(fmt.Sprint("auto ", i), swing...)
	}
	auto.visit("small", 80)
	small := auto.visitors[len(auto.visitors)-1]

	for _, f := range allFaults {
		began := time.Now()
		during(t, f, network, s, stored, auto)
		require.Zero(t, small.refusals.Load(), "%s: a session in cookies needs no store", f.name)
		require.Empty(t, stored.reasons(), "%s: no session may be corrupt, missing or rolled back", f.name)
		require.Empty(t, auto.reasons(), "%s: no session may be corrupt, missing or rolled back", f.name)
		t.Logf("%s: %v", f.name, time.Since(began).Round(time.Millisecond))
	}
	for _, site := range []*site{stored, auto} {
		site.Close()
		site.Client().CloseIdleConnections()
	}
	closeStore()
	network.Stop()
	began := time.Now()
	noMoreThan(t, before)
	t.Logf("the extra goroutines ended after %v", time.Since(began).Round(time.Millisecond))
}

// during loads the sites, and meanwhile breaks and repairs the store or the
// network.
func during(t *testing.T, f fault, p *proxy, s *server, sites ...*site) {
	t.Helper()
	var ends []func() error
	failures := make([]int64, len(sites))
	for i, site := range sites {
		ends = append(ends, site.load())
		site.writes(t)
		failures[i] = site.failed.Load()
	}
	f.begin(p, s)
	for i, site := range sites {
		eventually(t, f.name+": calls of the store to fail", func() bool { return site.failed.Load() > failures[i]+5 })
	}
	f.end(p, s)
	for _, site := range sites {
		site.writes(t)
	}
	for _, end := range ends {
		require.NoError(t, end(), f.name)
	}
	for _, site := range sites {
		for _, v := range site.visitors {
			refusals := v.refusals.Load()
			require.NoError(t, v.read(), "after %s, %s", f.name, v.name)
			require.Equal(t, refusals, v.refusals.Load(), "after %s, %s: the store works again", f.name, v.name)
		}
	}
}

// reasons counts the reasons for which sessions and cookies were not accepted.
func (s *site) reasons() map[reason.Reason]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[reason.Reason]int{}
	for why, n := range s.refused {
		all[why] = n
	}
	return all
}

// goroutines counts the running goroutines, without those of the proxy, which
// leaks some, and those that read a database's output.
func goroutines() (n int, stacks string) {
	var text strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&text, 2)
	for stack := range strings.SplitSeq(text.String(), "\n\n") {
		if !strings.Contains(stack, "Shopify/toxiproxy") && !strings.Contains(stack, "os/exec") {
			n, stacks = n+1, stacks+stack+"\n\n"
		}
	}
	return n, stacks
}

// settled returns the number of goroutines after those of earlier tests have
// ended.
func settled() int {
	least, _ := goroutines()
	for range 10 {
		time.Sleep(20 * time.Millisecond)
		n, _ := goroutines()
		least = min(least, n)
	}
	return least
}

func noMoreThan(t *testing.T, before int) {
	t.Helper()
	began := time.Now()
	for {
		n, stacks := goroutines()
		if n <= before {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%d goroutines ran before, and %d are left:\n%s", before, n, stacks)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A Redis without persistence loses all stored sessions when it restarts. Their
// visitors have no session then, but get no error. Sessions in cookies are not
// affected.
func TestRestartOfARedisWithoutPersistence(t *testing.T) {
	s := startRedis(t, false)
	store, closeStore := redisOver(t, s.address)
	defer closeStore()
	site := newSite(t, middleware.Auto, store)
	defer site.Close()
	site.visit("large", 60_000)
	site.visit("small", 80)
	large, small := site.visitors[0], site.visitors[1]
	for _, v := range site.visitors {
		require.NoError(t, v.write())
		require.NoError(t, v.read())
		require.Equal(t, int64(1), v.acknowledged.Load())
	}
	s.crash()
	status, _, err := large.ask("/get")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status, "while the store is down, no visitor may appear logged out")
	require.NoError(t, small.read())
	s.start()

	eventually(t, "the store to respond", func() bool {
		status, text, err := large.ask("/get")
		return err == nil && status == http.StatusNotFound && strings.Contains(text, reason.RecordMissing.String())
	})
	require.NoError(t, small.read())
	require.Zero(t, small.refusals.Load())
	require.NoError(t, large.write())
	require.NoError(t, large.read())
	require.Equal(t, int64(2), large.acknowledged.Load(), "a visitor who lost a session must get a new one")
}
