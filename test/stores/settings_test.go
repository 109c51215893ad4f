package stores

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// set adds a parameter to a DSN. Drivers pass unknown parameters on to the
// server.
func set(dsn, name, value string) string {
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return dsn + separator + name + "=" + url.PathEscape(value)
}

// isolated returns engines with other default isolation levels.
func isolated(t *testing.T) (all []engine) {
	for _, level := range []string{"serializable", "repeatable read"} {
		e := engines[0]
		dsn := e.dsn
		e.name += ", " + level
		e.dsn = func(t *testing.T) string { // slow commits overlap
			slow := strings.Replace(dsn(t), "synchronous_commit=off", "synchronous_commit=on", 1)
			return set(slow, "default_transaction_isolation", level)
		}
		all = append(all, e)
	}
	for _, level := range []string{"SERIALIZABLE", "READ-UNCOMMITTED", "READ-COMMITTED"} {
		e := engines[1]
		dsn := e.dsn
		e.name += ", " + level
		e.dsn = func(t *testing.T) string {
			d := dsn(t)
			name := "transaction_isolation"
			if _, err := e.open(t, d).Exec("SELECT @@transaction_isolation"); err != nil {
				name = "tx_isolation" // the name in MariaDB before 11.1
			}
			return set(d, name, "'"+level+"'")
		}
		all = append(all, e)
	}
	return all
}

// With every isolation level, concurrent Saves of different records must
// succeed. PostgreSQL's serializable transactions conflict in a small table,
// because they read the same pages.
func TestSeparateRecordsDoNotFailEachOther(t *testing.T) {
	for _, e := range isolated(t) {
		t.Run(e.name, func(t *testing.T) {
			_, db, store, o := e.migrated(t, sqlstore.Options{SweepEvery: -1})
			table := o.Table
			var all [16]fallback.Record
			for i := range all {
				all[i] = newRecord(fallback.Revision{}, "first")
				require.NoError(t, store.Save(t.Context(), fmt.Sprint(i), fallback.Revision{}, all[i]))
			}
			if e.dialect == sqlstore.Postgres {
				run(t, db, "ANALYZE "+table) // tells the planner that the table is small, so that it reads all of it
			}
			var again atomic.Int64
			ctx := fallback.WithAttempts(t.Context(), func(error) { again.Add(1) })
			var group sync.WaitGroup
			for i := range all {
				group.Go(func() {
					for range 60 {
						next := newRecord(all[i].Revision, "next")
						if err := store.Save(ctx, fmt.Sprint(i), all[i].Revision, next); err != nil {
							t.Error(err)
						}
						all[i] = next
					}
				})
			}
			group.Wait()
			t.Logf("%d statements were repeated for 960 Saves", again.Load())
		})
	}
}

func saveAndRead(ctx context.Context, store fallback.Store, id string) error {
	rec := newRecord(fallback.Revision{}, id)
	if err := store.Save(ctx, id, fallback.Revision{}, rec); err != nil {
		return err
	}
	got, err := store.Load(ctx, id)
	if err == nil && got.Revision != rec.Revision {
		err = errors.New("another record")
	}
	return err
}

func TestConformanceUnderEveryIsolation(t *testing.T) {
	if testing.Short() {
		t.Skip("this test takes several seconds")
	}
	for _, e := range isolated(t) {
		t.Run(e.name, func(t *testing.T) {
			fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
				clock := fallbacktest.NewClock()
				dsn, _, store, o := e.migrated(t, sqlstore.Options{Clock: clock.Now})
				return fallbacktest.Setup{Store: store, Other: newStore(t, e.open(t, dsn), o), Now: clock.Now, Advance: clock.Advance}
			})
		})
	}
}

// If a column is too narrow, every call fails, with and without a strict
// sql_mode. Truncated data is never stored.
func TestNarrowColumnsAreErrors(t *testing.T) {
	for _, mode := range []string{"''", "'STRICT_ALL_TABLES'"} {
		for _, e := range engines[1:4] {
			t.Run(e.name+" "+mode, func(t *testing.T) {
				dsn := set(e.dsn(t), "sql_mode", mode)
				db := e.open(t, dsn)
				table := e.newTable(t, db, dsn)
				run(t, db, "CREATE TABLE "+table+" (id VARBINARY(64) NOT NULL PRIMARY KEY, number BIGINT NOT NULL, "+
					"tag BINARY(16) NOT NULL, data BLOB NOT NULL, expires BIGINT NOT NULL)")
				store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: table})
				err := store.Save(t.Context(), "id", fallback.Revision{}, newRecord(fallback.Revision{}, strings.Repeat("x", 100_000)))
				require.ErrorContains(t, err, "column data of")
				_, err = store.Load(t.Context(), "id")
				require.ErrorIs(t, err, fallback.ErrNotFound)
				run(t, db, "ALTER TABLE "+table+" MODIFY data MEDIUMBLOB NOT NULL")
				require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, newRecord(fallback.Revision{}, strings.Repeat("x", 100_000))),
					"after the column was widened, the store must work without a restart")
				got, err := store.Load(t.Context(), "id")
				require.NoError(t, err)
				require.Len(t, got.Data, 100_000)
			})
		}
	}
}

// A duplicate key in an index other than that of id is not a conflict. Treating
// it as one would repeat the statement forever.
func TestOtherUniqueKeysAreErrors(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		_, db, store, o := e.migrated(t, sqlstore.Options{})
		table := o.Table
		run(t, db, "CREATE UNIQUE INDEX "+table+"_other ON "+table+" (expires)")
		rec, other := newRecord(fallback.Revision{}, "one"), newRecord(fallback.Revision{}, "two")
		other.Expires = rec.Expires
		require.NoError(t, store.Save(t.Context(), "one", fallback.Revision{}, rec))
		err := store.Save(t.Context(), "two", fallback.Revision{}, other)
		require.Error(t, err)
		require.NotErrorIs(t, err, fallback.ErrConflict)
	})
}

// With autocommit off, MySQL acknowledges statements that it rolls back when
// the connection ends. The store must refuse such connections.
func TestAutocommitOffIsRefused(t *testing.T) {
	e := engines[1]
	dsn := e.dsn(t)
	good := e.open(t, dsn)
	o := sqlstore.Options{Dialect: e.dialect, Table: e.newTable(t, good, dsn)}
	require.NoError(t, newStore(t, good, o).Migrate(t.Context()))
	rec := newRecord(fallback.Revision{}, "one")
	require.NoError(t, newStore(t, good, o).Save(t.Context(), "id", fallback.Revision{}, rec))

	store := newStore(t, e.open(t, set(dsn, "autocommit", "0")), o)
	for name, err := range map[string]error{
		"Migrate": store.Migrate(t.Context()),
		"Check":   store.Check(t.Context()),
		"Save":    store.Save(t.Context(), "new", fallback.Revision{}, rec),
		"replace": store.Save(t.Context(), "id", rec.Revision, newRecord(rec.Revision, "two")),
		"Touch":   store.Touch(t.Context(), "id", rec.Expires.Add(time.Hour)),
		"Delete":  store.Delete(t.Context(), "id"),
		"Clear":   store.Clear(t.Context()),
	} {
		require.ErrorContains(t, err, "autocommit is 0", name)
	}
	got, err := newStore(t, good, o).Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision)
	require.Equal(t, rec.Expires.UnixMilli(), got.Expires.UnixMilli())
}

// Servers without prepared statements, or with too few, can be used.
func TestServersThatDoNotPrepare(t *testing.T) {
	s := startMariaDB(t)
	e := engines[1]
	dsn := mariaDSN(s.address)
	admin := e.open(t, dsn)
	run(t, admin, "SET GLOBAL max_prepared_stmt_count = 0")
	store := newStore(t, e.open(t, set(dsn, "interpolateParams", "true")), sqlstore.Options{Dialect: e.dialect})
	require.NoError(t, store.Migrate(t.Context()))
	require.NoError(t, saveAndRead(t.Context(), store, "id"))
	require.NoError(t, store.Delete(t.Context(), "id"))

	never := newStore(t, e.open(t, set(dsn, "interpolateParams", "true")), sqlstore.Options{Dialect: e.dialect, WithoutPrepare: true})
	require.NoError(t, saveAndRead(t.Context(), never, "id"))
	run(t, admin, "SET GLOBAL max_prepared_stmt_count = 100")
	var prepared int
	var name string
	require.NoError(t, saveAndRead(t.Context(), never, "id 2"))
	require.NoError(t, admin.QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &prepared))
	require.Zero(t, prepared)
}

// Check reports unsuitable settings of a server.
func TestCheckFindsSettings(t *testing.T) {
	finds := func(e engine, dsn string, prepare func(table string) []string, want ...string) {
		t.Run(e.name+" "+want[0], func(t *testing.T) {
			db := e.open(t, e.dsn(t))
			table := e.newTable(t, db, e.dsn(t))
			require.NoError(t, newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: table}).Migrate(t.Context()))
			if prepare != nil {
				for _, s := range prepare(table) {
					run(t, db, s)
				}
			}
			err := newStore(t, e.open(t, dsn), sqlstore.Options{Dialect: e.dialect, Table: table}).Check(t.Context())
			var check *fallback.CheckError
			require.ErrorAs(t, err, &check)
			for _, w := range want {
				require.ErrorContains(t, err, w)
			}
		})
	}
	pg, my := engines[0], engines[1]
	finds(pg, set(pg.dsn(t), "synchronous_commit", "off"), nil, "synchronous_commit is off")
	finds(pg, set(pg.dsn(t), "default_transaction_isolation", "serializable"), nil, "default_transaction_isolation is serializable")
	finds(pg, set(pg.dsn(t), "default_transaction_read_only", "on"), nil, "transaction_read_only is on")
	finds(pg, pg.dsn(t), func(table string) []string { return []string{"ALTER TABLE " + table + " SET UNLOGGED"} }, "unlogged")
	finds(pg, pg.dsn(t), func(table string) []string { return []string{dropIndex(pg, table)} }, "index on expires")
	finds(my, set(my.dsn(t), "sql_mode", "''"), nil, "sql_mode is")
	finds(my, set(my.dsn(t), "autocommit", "0"), nil, "autocommit is 0")
	finds(my, my.dsn(t), func(table string) []string { return []string{"ALTER TABLE " + table + " ENGINE=MyISAM"} }, "engine of", "MyISAM")
	lite := engines[len(engines)-1]
	file := lite.dsn(t)
	lite.dsn = func(*testing.T) string { return file }
	bare, _, _ := strings.Cut(file, "?")
	finds(lite, bare+"?_pragma=synchronous(0)", nil, "synchronous is 0", "busy_timeout is 0")

	e := engines[0]
	missing := newStore(t, e.open(t, e.dsn(t)), sqlstore.Options{Dialect: e.dialect, Table: "carryon_no_such_table"})
	require.ErrorContains(t, missing.Check(t.Context()), "is missing")
}

// Check reports nothing for a server with suitable settings.
func TestCheckOfADurableServer(t *testing.T) {
	t.Run("PostgreSQL", func(t *testing.T) {
		store := newStore(t, engines[0].open(t, postgresDSN(startPostgres(t).address)), sqlstore.Options{Dialect: sqlstore.Postgres})
		require.NoError(t, store.Migrate(t.Context()))
		require.NoError(t, store.Check(t.Context()))
	})
	t.Run("MariaDB", func(t *testing.T) {
		store := newStore(t, engines[1].open(t, mariaDSN(startMariaDB(t).address)), sqlstore.Options{Dialect: sqlstore.MySQL})
		require.NoError(t, store.Migrate(t.Context()))
		require.NoError(t, store.Check(t.Context()))
	})
	t.Run("SQLite", func(t *testing.T) {
		e := engines[len(engines)-1]
		store := newStore(t, e.open(t, e.dsn(t)), sqlstore.Options{Dialect: sqlstore.SQLite})
		require.NoError(t, store.Migrate(t.Context()))
		require.NoError(t, store.Check(t.Context()))
	})
}
