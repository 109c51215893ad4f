package stores

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// An engine is a database that may be installed.
type engine struct {
	name    string
	dialect sqlstore.Dialect
	driver  string
	dsn     func(t *testing.T) string
}

const sqliteOptions = "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(30000)&_txlock=immediate"

var engines = []engine{
	{"PostgreSQL", sqlstore.Postgres, "pgx", env("CARRYON_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test?sslmode=disable&synchronous_commit=off")},
	{"MySQL", sqlstore.MySQL, "mysql", env("CARRYON_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")},
	{"MySQL, clientFoundRows", sqlstore.MySQL, "mysql", with(env("CARRYON_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test"), "clientFoundRows=true")},
	{"MySQL, interpolateParams", sqlstore.MySQL, "mysql", with(env("CARRYON_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test"), "interpolateParams=true")},
	{"SQLite", sqlstore.SQLite, "sqlite", func(t *testing.T) string {
		return "file:" + filepath.Join(t.TempDir(), "sessions.db") + sqliteOptions
	}},
}

func env(name, otherwise string) func(*testing.T) string {
	return func(*testing.T) string { return cmp.Or(os.Getenv(name), otherwise) }
}

func with(dsn func(*testing.T) string, option string) func(*testing.T) string {
	return func(t *testing.T) string {
		if d := dsn(t); strings.Contains(d, "?") {
			return d + "&" + option
		}
		return dsn(t) + "?" + option
	}
}

// each runs a test on every engine.
func each(t *testing.T, run func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { run(t, e) })
	}
}

// open connects to the engine. If it is missing, the test is skipped, or fails
// in CI, which starts all engines.
func (e engine) open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(e.driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	// One connection per racing writer. With fewer, writers wait for each
	// other; with more, several tests exhaust a small server.
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		absent(t, e.name, err)
	}
	return db
}

// absent skips the test because an engine is missing. In CI it fails the test.
func absent(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, but CI requires it: %v", what, err)
	}
	t.Skipf("%s is missing: %v", what, err)
}

func redisAddress() string { return cmp.Or(os.Getenv("CARRYON_TEST_REDIS"), "127.0.0.1:6379") }

// newTable returns an unused table name, and drops the table after the test.
func (e engine) newTable(t *testing.T, db *sql.DB, dsn string) string {
	t.Helper()
	table := "carryon_test_" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() {
		db, err := sql.Open(e.driver, dsn) // the test may have closed db
		if err != nil {
			return
		}
		defer db.Close()
		_, err = db.ExecContext(context.Background(), "DROP TABLE IF EXISTS "+table)
		require.NoError(t, err)
	})
	return table
}

func newStore(t *testing.T, db *sql.DB, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, o)
	require.NoError(t, err)
	return store
}

// migrated returns a store with a table of its own, the database that it is
// over, and the options with which another store finds the same table.
func (e engine) migrated(t *testing.T, o sqlstore.Options) (dsn string, db *sql.DB, store *sqlstore.Store, all sqlstore.Options) {
	t.Helper()
	dsn = e.dsn(t)
	db = e.open(t, dsn)
	o.Dialect, o.Table = e.dialect, e.newTable(t, db, dsn)
	store = newStore(t, db, o)
	require.NoError(t, store.Migrate(t.Context()))
	return dsn, db, store, o
}
