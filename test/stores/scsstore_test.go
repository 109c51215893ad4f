package stores

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/mysqlstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/scsstore"
)

// Stores of scs pass the conformance suite through scsstore: the whole suite in
// one process, and all but the races in two.

func TestSCSGoRedisStore(t *testing.T) {
	conformSCS(t, 0, func(t *testing.T) (scs.Store, func()) {
		client := connectRedis(t)
		prefix := "carryon-test:" + rand.Text()[:12] + ":"
		t.Cleanup(func() { clearRedis(t, prefix) })
		return goredisstore.NewWithPrefix(client, prefix), func() { _ = client.Close() }
	})
}

func clearRedis(t *testing.T, prefix string) {
	client := connectRedis(t)
	ctx := context.Background()
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		require.NoError(t, client.Del(ctx, keys.Val()).Err())
	}
	require.NoError(t, keys.Err())
}

func connectRedis(t *testing.T) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: redisAddress(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		absent(t, "Redis", err)
	}
	return client
}

// The table is always called "sessions", so the test uses its own database. A
// BLOB in MySQL holds at most 64 KiB.
func TestSCSMySQLStore(t *testing.T) {
	e := engines[1]
	admin := e.open(t, e.dsn(t))
	conformSCS(t, 48_000, func(t *testing.T) (scs.Store, func()) {
		name := "carryon_test_" + strings.ToLower(rand.Text()[:12])
		run(t, admin, "CREATE DATABASE "+name)
		t.Cleanup(func() { run(t, admin, "DROP DATABASE "+name) })
		db := e.open(t, otherDatabase(e.dsn(t), name))
		run(t, db, "CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)")
		run(t, db, "CREATE INDEX sessions_expiry_idx ON sessions (expiry)")
		return mysqlstore.NewWithCleanupInterval(db, 0), func() { _ = db.Close() }
	})
}

// Check finds the BLOB in the schema of scs before a session is lost.
func TestSCSMySQLStoreIsChecked(t *testing.T) {
	e := engines[1]
	admin, name := e.open(t, e.dsn(t)), "carryon_test_"+strings.ToLower(rand.Text()[:12])
	run(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { run(t, admin, "DROP DATABASE "+name) })
	for _, mode := range []string{"''", "'STRICT_ALL_TABLES'"} {
		db := e.open(t, set(otherDatabase(e.dsn(t), name), "sql_mode", mode))
		run(t, db, "CREATE TABLE IF NOT EXISTS sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)")
		over := mysqlstore.NewWithCleanupInterval(db, 0)
		whole, err := scsstore.New(over, scsstore.Options{})
		require.NoError(t, err)
		require.ErrorContains(t, whole.Check(t.Context()), "Options.MaxRecord is 1048576", mode)
		part, err := scsstore.New(over, scsstore.Options{MaxRecord: 48_000})
		require.NoError(t, err)
		require.NoError(t, part.Check(t.Context()), mode)
	}
}

// otherDatabase replaces the database in a DSN of go-sql-driver/mysql.
func otherDatabase(dsn, name string) string {
	before, options, _ := strings.Cut(dsn, "?")
	return before[:strings.LastIndex(before, "/")+1] + name + "?" + options
}

func TestSCSSQLite3Store(t *testing.T) {
	e := engines[len(engines)-1]
	conformSCS(t, 0, func(t *testing.T) (scs.Store, func()) {
		db := e.open(t, e.dsn(t))
		run(t, db, "CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)")
		return sqlite3store.NewWithCleanupInterval(db, 0), func() { _ = db.Close() }
	})
}

func run(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(context.Background(), statement)
	require.NoError(t, err)
}

func conformSCS(t *testing.T, maxRecord int, open func(t *testing.T) (over scs.Store, down func())) {
	for name, replicas := range map[string]int{"one process": 1, "two replicas": 2} {
		t.Run(name, func(t *testing.T) {
			fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
				over, down := open(t)
				clock := fallbacktest.NewClock()
				make := func(ahead time.Duration) fallback.Store {
					s, err := scsstore.New(over, scsstore.Options{MaxRecord: maxRecord,
						Clock: func() time.Time { return clock.Now().Add(ahead) }})
					require.NoError(t, err)
					return s
				}
				s := fallbacktest.Setup{Store: make(0), Now: clock.Now, Advance: clock.Advance, Break: down,
					MaxRecord: maxRecord, Skewed: make}
				if replicas == 2 {
					s.Other, s.DangerouslyLastWriterWins = make(0), true
				}
				return s
			})
		})
	}
}
