package stores

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

func newRecord(old fallback.Revision, data string) fallback.Record {
	return fallback.Record{Revision: old.Next(), Data: []byte(data), Expires: time.Now().Add(time.Hour)}
}

// hold locks the table by another connection until the test ends or release is
// called.
func hold(t *testing.T, e engine, dsn string, statements ...string) (release func()) {
	t.Helper()
	db := e.open(t, dsn)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	for _, s := range statements {
		_, err := conn.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	return func() {
		_, _ = conn.ExecContext(context.Background(), "ROLLBACK")
		_ = conn.Close()
		_ = db.Close()
	}
}

// A starting replica calls Migrate while others write, a backup reads, a vacuum
// runs or an operator changes the table. Migrate must not wait for any of them:
// in PostgreSQL, all later statements queue behind a waiting CREATE INDEX.
func TestMigrateWaitsForNobody(t *testing.T) {
	locks := map[sqlstore.Dialect]map[string][]string{
		sqlstore.Postgres: {
			"a write": {"BEGIN", "INSERT INTO %[1]s VALUES ('other', 1, 'tag', 'data', 9999999999999)"},
		},
		sqlstore.MySQL: {
			"a write":           {"START TRANSACTION", "INSERT INTO %[1]s VALUES ('other', 1, 'tag', 'data', 9999999999999)"},
			"LOCK TABLES READ":  {"LOCK TABLES %[1]s READ"},
			"a consistent read": {"START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT COUNT(*) FROM %[1]s"},
		},
		sqlstore.SQLite: {"a write": {"BEGIN IMMEDIATE", "DELETE FROM %[1]s"}},
	}
	for _, mode := range []string{"ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
		"SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"} {
		locks[sqlstore.Postgres][mode] = []string{"BEGIN", "LOCK TABLE %[1]s IN " + mode + " MODE"}
	}
	each(t, func(t *testing.T, e engine) {
		for name, statements := range locks[e.dialect] {
			t.Run(name, func(t *testing.T) {
				dsn := e.dsn(t)
				db := e.open(t, dsn)
				table := e.newTable(t, db, dsn)
				o := sqlstore.Options{Dialect: e.dialect, Table: table}
				require.NoError(t, newStore(t, db, o).Migrate(t.Context()))
				for i, s := range statements {
					statements[i] = strings.ReplaceAll(s, "%[1]s", table)
				}
				release := hold(t, e, dsn, statements...)
				defer release()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				require.NoError(t, newStore(t, db, o).Migrate(ctx), "the table is complete, so Migrate must not wait")
				for i := range statements { // release the locks for the next engine of this dialect
					statements[i] = strings.ReplaceAll(statements[i], table, "%[1]s")
				}
			})
		}
	})
}

// If the index is missing and the table is locked, Migrate gives up. Other
// statements must be served meanwhile.
func TestMigrateLetsWritersPass(t *testing.T) {
	for _, e := range []engine{engines[0], engines[1]} {
		t.Run(e.name, func(t *testing.T) {
			dsn, db, store, o := e.migrated(t, sqlstore.Options{})
			table := o.Table
			run(t, db, dropIndex(e, table))
			release := hold(t, e, dsn, "BEGIN", "INSERT INTO "+table+" VALUES ('other', 1, '0123456789012345', 'data', 9999999999999)")
			defer release()

			migrated := make(chan error)
			go func() { migrated <- store.Migrate(t.Context()) }()
			for i := 0; ; i++ {
				select {
				case err := <-migrated:
					require.Error(t, err, "the table was locked all the time")
					release()
					require.NoError(t, store.Migrate(t.Context()), "without the lock, the index must be created")
					if err := store.Check(t.Context()); err != nil { // the test server's settings are findings, too
						require.NotContains(t, err.Error(), "index on expires")
					}
					return
				default:
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				require.NoError(t, store.Save(ctx, fmt.Sprint(i), fallback.Revision{}, newRecord(fallback.Revision{}, "x")))
				cancel()
			}
		})
	}
}

func dropIndex(e engine, table string) string {
	if e.dialect == sqlstore.MySQL {
		return "DROP INDEX " + table + "_expires ON " + table
	}
	return "DROP INDEX " + table + "_expires"
}

// A program whose role may only read and write rows can start.
func TestMigrateNeedsNoRightsWhereAllIsThere(t *testing.T) {
	for _, e := range []engine{engines[0], engines[1]} {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			db := e.open(t, dsn)
			table, role := e.newTable(t, db, dsn), "carryon_"+strings.ToLower(rand.Text()[:12])
			require.NoError(t, newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: table}).Migrate(t.Context()))
			store := newStore(t, e.open(t, e.as(t, db, dsn, role, table)), sqlstore.Options{Dialect: e.dialect, Table: table})
			require.NoError(t, store.Migrate(t.Context()))
			if err := store.Check(t.Context()); err != nil {
				var check *fallback.CheckError
				require.ErrorAs(t, err, &check, "the error must be about settings, not about reading them")
			}
			one := newRecord(fallback.Revision{}, "one")
			require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, one))
			require.NoError(t, store.Save(t.Context(), "id", one.Revision, newRecord(one.Revision, "two")))
			require.NoError(t, store.Touch(t.Context(), "id", one.Expires.Add(time.Hour)))
			require.NoError(t, store.Delete(t.Context(), "id"))

			elsewhere := table + "x"
			if e.dialect == sqlstore.Postgres { // before version 15, every role may create tables in public
				run(t, db, "CREATE SCHEMA "+role)
				t.Cleanup(func() { run(t, db, "DROP SCHEMA "+role) })
				elsewhere = role + "." + table
			}
			other := newStore(t, e.open(t, e.as(t, db, dsn, role+"x", table)), sqlstore.Options{Dialect: e.dialect, Table: elsewhere})
			require.Error(t, other.Migrate(t.Context()), "the role may not create tables")
		})
	}
}

// as creates a role with rights on the rows of one table, and returns its DSN.
func (e engine) as(t *testing.T, db *sql.DB, dsn, role, table string) string {
	t.Helper()
	if e.dialect == sqlstore.MySQL {
		run(t, db, "CREATE USER '"+role+"'@'127.0.0.1'")
		run(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE ON "+table+" TO '"+role+"'@'127.0.0.1'")
		t.Cleanup(func() { run(t, db, "DROP USER '"+role+"'@'127.0.0.1'") })
		_, rest, _ := strings.Cut(dsn, "@")
		return role + "@" + rest
	}
	run(t, db, "CREATE ROLE "+role+" LOGIN")
	run(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE ON "+table+" TO "+role)
	t.Cleanup(func() {
		run(t, db, "DROP OWNED BY "+role)
		run(t, db, "DROP ROLE "+role)
	})
	scheme, rest, _ := strings.Cut(dsn, "://")
	_, rest, _ = strings.Cut(rest, "@")
	return scheme + "://" + role + "@" + rest
}

// Migrate and Check report an existing table with a wrong schema, and do not
// change it.
func TestMigrateSaysWhatDoesNotFit(t *testing.T) {
	type table struct{ columns, says string }
	tables := map[sqlstore.Dialect][]table{
		sqlstore.Postgres: {
			{"id bytea PRIMARY KEY, number bigint, tag bytea, data text, expires bigint", "column data of"},
			{"id bytea PRIMARY KEY, number integer, tag bytea, data bytea, expires bigint", "column number of"},
			{"id text PRIMARY KEY, number bigint, tag bytea, data bytea, expires bigint", "column id of"},
			{"id bytea PRIMARY KEY, number bigint, tag bytea, data bytea, expires timestamptz", "column expires of"},
			{"id bytea, number bigint, tag bytea, data bytea, expires bigint", "primary key of"},
			{"id bytea, number bigint, tag bytea, data bytea, expires bigint, PRIMARY KEY (id, number)", "primary key of"},
			{"sid varchar PRIMARY KEY, sess json, expire timestamp(6)", "column data of"}, // of connect-pg-simple
		},
		sqlstore.MySQL: {
			{"id VARBINARY(64) PRIMARY KEY, number BIGINT, tag BINARY(16), data BLOB, expires BIGINT", "column data of"},
			{"id VARBINARY(64) PRIMARY KEY, number BIGINT, tag BINARY(16), data MEDIUMTEXT, expires BIGINT", "column data of"},
			{"id VARBINARY(43) PRIMARY KEY, number BIGINT, tag BINARY(16), data MEDIUMBLOB, expires BIGINT", "column id of"},
			{"id VARCHAR(64) PRIMARY KEY, number BIGINT, tag BINARY(16), data MEDIUMBLOB, expires BIGINT", "column id of"},
			{"id VARBINARY(64) PRIMARY KEY, number INT, tag BINARY(16), data MEDIUMBLOB, expires BIGINT", "column number of"},
			{"id VARBINARY(64) PRIMARY KEY, number BIGINT, tag BINARY(8), data MEDIUMBLOB, expires BIGINT", "column tag of"},
			{"id VARBINARY(64) PRIMARY KEY, number BIGINT, tag BINARY(16), data MEDIUMBLOB, expires INT UNSIGNED", "column expires of"},
			{"id VARBINARY(64), number BIGINT, tag BINARY(16), data MEDIUMBLOB, expires BIGINT, PRIMARY KEY (id(8))", "primary key of"},
			{"id VARBINARY(64), number BIGINT, tag BINARY(16), data MEDIUMBLOB, expires BIGINT, KEY (id)", "primary key of"},
		},
		sqlstore.SQLite: {
			{"id BLOB PRIMARY KEY, number TEXT, tag BLOB, data BLOB, expires INTEGER", "column number of"},
			{"id BLOB PRIMARY KEY, number INTEGER, tag BLOB, data BLOB, expires TEXT", "column expires of"},
			{"id BLOB, number INTEGER, tag BLOB, data BLOB, expires INTEGER", "primary key of"},
			{"token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL", "column expires of"}, // of scs
		},
	}
	each(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		db := e.open(t, dsn)
		for _, test := range tables[e.dialect] {
			name := e.newTable(t, db, dsn)
			run(t, db, "CREATE TABLE "+name+" ("+test.columns+")")
			store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: name})
			for _, err := range []error{store.Migrate(t.Context()), store.Check(t.Context())} {
				require.ErrorContains(t, err, test.says, test.columns)
				var check *fallback.CheckError
				require.ErrorAs(t, err, &check)
			}
		}
	})
}

// A table that an operator made with wider types is accepted.
func TestWiderTablesFit(t *testing.T) {
	tables := map[sqlstore.Dialect]string{
		sqlstore.Postgres: "id bytea UNIQUE, number bigint, tag bytea, data bytea, expires bigint, added timestamptz DEFAULT now()",
		sqlstore.MySQL:    "ID VARBINARY(255) UNIQUE, number BIGINT UNSIGNED, tag VARBINARY(64), data LONGBLOB, Expires BIGINT UNSIGNED",
		sqlstore.SQLite:   "ID ANY UNIQUE, number INT, tag, data BLOB, Expires BIGINT",
	}
	each(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		db := e.open(t, dsn)
		name := e.newTable(t, db, dsn)
		run(t, db, "CREATE TABLE "+name+" ("+tables[e.dialect]+")")
		store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: name})
		require.NoError(t, store.Migrate(t.Context()))
		require.NoError(t, store.Migrate(t.Context()))
		rec := newRecord(fallback.Revision{}, strings.Repeat("x", fallback.MaxRecord))
		require.NoError(t, store.Save(t.Context(), strings.Repeat("i", fallback.MaxID), fallback.Revision{}, rec))
		got, err := store.Load(t.Context(), strings.Repeat("i", fallback.MaxID))
		require.NoError(t, err)
		require.Equal(t, rec.Data, got.Data)
	})
}

// An invalid index, left by an interrupted CREATE INDEX CONCURRENTLY, is not
// accepted.
func TestInvalidIndexIsToldOf(t *testing.T) {
	e := engines[0]
	dsn, db, store, o := e.migrated(t, sqlstore.Options{})
	table := o.Table
	run(t, db, dropIndex(e, table))
	release := hold(t, e, dsn, "BEGIN", "INSERT INTO "+table+" VALUES ('other', 1, 'tag', 'data', 9999999999999)")
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET lock_timeout = '100ms'")
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "CREATE INDEX CONCURRENTLY "+table+"_expires ON "+table+" (expires)")
	require.Error(t, err)
	release()
	require.ErrorContains(t, store.Migrate(t.Context()), "is invalid")
}

// Migrate finds the table anywhere in the search path, as statements do. It
// does not create a second, empty table earlier in that path.
func TestMigrateFollowsTheSearchPath(t *testing.T) {
	e := engines[0]
	dsn := e.dsn(t)
	admin := e.open(t, dsn)
	table := e.newTable(t, admin, dsn)
	first, second := table+"_1", table+"_2"
	for _, schema := range []string{first, second} {
		run(t, admin, "CREATE SCHEMA "+schema)
		t.Cleanup(func() { run(t, admin, "DROP SCHEMA "+schema+" CASCADE") })
	}
	o := sqlstore.Options{Dialect: e.dialect, Table: second + "." + table}
	old := newStore(t, admin, o)
	require.NoError(t, old.Migrate(t.Context()))
	rec := newRecord(fallback.Revision{}, "one")
	require.NoError(t, old.Save(t.Context(), "id", fallback.Revision{}, rec))

	o.Table = table
	store := newStore(t, e.open(t, set(dsn, "search_path", first+","+second)), o)
	require.NoError(t, store.Migrate(t.Context()))
	got, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision)
}
