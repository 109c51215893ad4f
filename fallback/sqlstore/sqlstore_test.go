package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// The module test runs the store against the real engines. These tests use a
// fake engine.

// engine answers each statement with the next of its errors, or with one
// changed row. A query gets the rows, once.
type engine struct {
	errs []error
	sent []string
	rows [][]driver.Value

	isolations []sql.IsolationLevel
}

func (e *engine) Connect(context.Context) (driver.Conn, error) { return conn{e}, nil }
func (e *engine) Driver() driver.Driver                        { return nil }

type conn struct{ *engine }

func (c conn) Prepare(query string) (driver.Stmt, error) { return statement{c.engine, query}, nil }
func (c conn) Close() error                              { return nil }
func (c conn) Begin() (driver.Tx, error)                 { return tx{}, nil }

// BeginTx accepts any isolation.
func (c conn) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.isolations = append(c.isolations, sql.IsolationLevel(o.Isolation))
	return tx{}, nil
}

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

type statement struct {
	*engine
	query string
}

func (s statement) Close() error  { return nil }
func (s statement) NumInput() int { return -1 }
func (s statement) Exec([]driver.Value) (driver.Result, error) {
	if err := s.send(s.query); err != nil {
		return nil, err
	}
	return driver.RowsAffected(1), nil
}
func (s statement) Query([]driver.Value) (driver.Rows, error) {
	if err := s.send(s.query); err != nil {
		return nil, err
	}
	if s.rows == nil {
		return nil, errors.New("no rows")
	}
	all := &result{s.rows}
	s.rows = nil
	return all, nil
}

type result struct{ rows [][]driver.Value }

func (r *result) Columns() []string { return make([]string, len(r.rows[0])) }
func (r *result) Close() error      { return nil }
func (r *result) Next(into []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(into, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

func (e *engine) send(query string) error {
	e.sent = append(e.sent, query)
	if len(e.errs) == 0 {
		return nil
	}
	err := e.errs[0]
	e.errs = e.errs[1:]
	return err
}

// state is an error like those of PostgreSQL's drivers.
type state string

func (s state) Error() string    { return "engine: " + string(s) }
func (s state) SQLState() string { return string(s) }

func open(t *testing.T, e *engine, o sqlstore.Options) *sqlstore.Store {
	t.Helper()
	db := sql.OpenDB(e)
	t.Cleanup(func() { _ = db.Close() })
	store, err := sqlstore.New(db, o)
	require.NoError(t, err)
	return store
}

func TestStatementsGivenUpAreSentAgain(t *testing.T) {
	deadlock := errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction")
	changed := errors.New("Error 1020 (HY000): Record has changed since last read in table 'carryon_records'")
	tests := []struct {
		name string
		errs []error
		sent int
		fine bool
	}{
		{"none", nil, 1, true},
		{"MySQL's deadlock", []error{deadlock, deadlock}, 3, true},
		{"MariaDB's snapshot", []error{changed}, 2, true},
		{"PostgreSQL's deadlock", []error{state("40P01")}, 2, true},
		{"PostgreSQL's serialization failure", []error{fmt.Errorf("wrapped: %w", state("40001"))}, 2, true},
		{"MySQL's lock wait", []error{errors.New("Error 1205 (HY000): Lock wait timeout exceeded")}, 2, true},
		{"for ever", []error{deadlock, deadlock, deadlock, deadlock, deadlock, deadlock}, 6, false},
		{"another error", []error{state("23505")}, 1, false},
		{"a number that looks like it", []error{errors.New("Error 12130 (HY000)")}, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, told := &engine{errs: test.errs}, 0
			ctx := fallback.WithAttempts(t.Context(), func(err error) {
				require.Error(t, err)
				told++
			})
			err := open(t, e, sqlstore.Options{Dialect: sqlstore.Postgres}).Delete(ctx, "id")
			require.Equal(t, test.fine, err == nil)
			require.Len(t, e.sent, test.sent)
			require.Equal(t, test.sent-1, told, "every retried attempt is reported")
			for _, isolation := range e.isolations {
				require.Equal(t, sql.LevelReadCommitted, isolation)
			}
			require.Len(t, e.isolations, test.sent-1, "only retries set their isolation")
		})
	}
}

// A Save that fails every time is a conflict, so the caller loads and retries.
// Any other call that fails every time is an error.
func TestContentionIsAConflict(t *testing.T) {
	var lost []error
	for range 20 {
		lost = append(lost, state("40001"))
	}
	store := open(t, &engine{errs: lost}, sqlstore.Options{Dialect: sqlstore.Postgres})
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
	err := store.Save(t.Context(), "id", fallback.Revision{}, rec)
	require.ErrorIs(t, err, fallback.ErrConflict)
	require.ErrorIs(t, err, state("40001"))
	require.NotErrorIs(t, store.Touch(t.Context(), "id", rec.Expires), fallback.ErrConflict)

	ctx, cancel := context.WithCancel(t.Context())
	store = open(t, &engine{errs: lost}, sqlstore.Options{Dialect: sqlstore.Postgres})
	err = store.Save(fallback.WithAttempts(ctx, func(error) { cancel() }), "id", fallback.Revision{}, rec)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, fallback.ErrConflict)
}

// DDL that cannot succeed is sent only once.
func TestMigrateGivesUpAtOnce(t *testing.T) {
	for _, d := range []sqlstore.Dialect{sqlstore.Postgres, sqlstore.MySQL, sqlstore.SQLite} {
		e := &engine{errs: []error{state("42501")}}
		err := open(t, e, sqlstore.Options{Dialect: d}).Migrate(t.Context())
		require.ErrorIs(t, err, state("42501"))
		require.Len(t, e.sent, 1)
	}
}

// If the engine is down, the follow-up query for unchanged MySQL rows must not
// be sent, and an error must never look like a result.
func TestErrorsAreNoAnswers(t *testing.T) {
	for _, d := range []sqlstore.Dialect{sqlstore.Postgres, sqlstore.MySQL, sqlstore.SQLite} {
		down := errors.New("connection refused")
		store := open(t, &engine{errs: []error{down, down, down, down}}, sqlstore.Options{Dialect: d})
		rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
		for _, err := range []error{
			store.Save(t.Context(), "id", fallback.Revision{}, rec),
			store.Touch(t.Context(), "id", rec.Expires),
			store.Delete(t.Context(), "id"),
			store.Clear(t.Context()),
		} {
			require.ErrorIs(t, err, down)
			require.NotErrorIs(t, err, fallback.ErrNotFound)
			require.NotErrorIs(t, err, fallback.ErrConflict)
		}
	}
}

func TestTableNames(t *testing.T) {
	long := strings.Repeat("x", 55)
	for _, good := range []string{"", "a", "_", "Sessions_2", "app.sessions", long, long + "." + long} {
		_, err := sqlstore.Schema(sqlstore.Postgres, good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{
		`a"; DROP TABLE users; --`, `a"`, "a`", "a b", "a;", "a.b.c", ".a", "a.", "1a", "sessiön", "a\x00", "a\n", "a-b", long + "x", "?", "$1",
	} {
		for _, d := range []sqlstore.Dialect{sqlstore.Postgres, sqlstore.MySQL, sqlstore.SQLite} {
			_, err := sqlstore.Schema(d, bad)
			require.Error(t, err, bad)
			_, err = sqlstore.New(sql.OpenDB(&engine{}), sqlstore.Options{Dialect: d, Table: bad})
			require.Error(t, err, bad)
		}
	}
	_, err := sqlstore.Schema(sqlstore.SQLite, "app.sessions")
	require.ErrorContains(t, err, "SQLite has no schemas")
}

func TestNewSaysEveryFault(t *testing.T) {
	_, err := sqlstore.New(nil, sqlstore.Options{SweepBatch: -1})
	for _, want := range []string{"no such dialect", "no database", "SweepBatch"} {
		require.ErrorContains(t, err, want)
	}
}

// A row that this package cannot have written is an error, and not a record.
func TestRowsOfOthersAreErrors(t *testing.T) {
	tag, expires := make([]byte, 16), time.Now().Add(time.Hour).UnixMilli()
	for name, row := range map[string][]driver.Value{
		"a record":               {int64(1), tag, []byte("data"), expires},
		"the largest":            {int64(1), tag, make([]byte, fallback.MaxRecord), expires},
		"a number of 0":          {int64(0), tag, []byte("data"), expires},
		"a negative number":      {int64(-1), tag, []byte("data"), expires},
		"a short tag":            {int64(1), tag[:15], []byte("data"), expires},
		"a long tag":             {int64(1), append(tag, 0), []byte("data"), expires},
		"more data than allowed": {int64(1), tag, make([]byte, fallback.MaxRecord+1), expires},
	} {
		store := open(t, &engine{rows: [][]driver.Value{row}}, sqlstore.Options{Dialect: sqlstore.SQLite})
		rec, err := store.Load(t.Context(), "id")
		if name == "a record" || name == "the largest" {
			require.NoError(t, err, name)
			require.Equal(t, row[2], rec.Data)
			continue
		}
		require.ErrorContains(t, err, "not written by this package", name)
		require.Zero(t, rec, name)
	}
}

// Between the search for expired records and their removal, a visitor may have
// extended one.
func TestSweepRemovesOnlyWhatIsStillExpired(t *testing.T) {
	e := &engine{rows: [][]driver.Value{{[]byte("one")}, {[]byte("two")}}}
	_, err := open(t, e, sqlstore.Options{Dialect: sqlstore.Postgres}).Sweep(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []string{
		`SELECT id FROM "carryon_records" WHERE expires <= $1 ORDER BY expires LIMIT $2`,
		`DELETE FROM "carryon_records" WHERE expires <= $1 AND id IN ($2, $3)`,
	}, e.sent)
}

// All external values are parameters.
func TestStatementsHaveNoValues(t *testing.T) {
	e := &engine{}
	store := open(t, e, sqlstore.Options{Dialect: sqlstore.Postgres, Table: "app.sessions", SweepEvery: -1})
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte("data?"), Expires: time.Now().Add(time.Hour)}
	require.NoError(t, store.Save(t.Context(), "the id", fallback.Revision{}, rec))
	require.NoError(t, store.Save(t.Context(), "the id", rec.Revision, fallback.Record{
		Revision: rec.Revision.Next(), Expires: rec.Expires}))
	require.NoError(t, store.Touch(t.Context(), "the id", rec.Expires))
	require.Equal(t, []string{
		`INSERT INTO "app"."sessions" AS r (id, number, tag, data, expires) VALUES ($1, $2, $3, $4, $5)` +
			` ON CONFLICT (id) DO UPDATE SET number = excluded.number, tag = excluded.tag,` +
			` data = excluded.data, expires = excluded.expires WHERE r.expires <= $6`,
		`UPDATE "app"."sessions" SET number = $1, tag = $2, data = $3, expires = $4` +
			` WHERE id = $5 AND expires > $6 AND number = $7 AND tag = $8`,
		`UPDATE "app"."sessions" SET expires = $1 WHERE id = $2 AND expires > $3`,
	}, e.sent)
}

func ExampleSchema() {
	schema, err := sqlstore.Schema(sqlstore.MySQL, "")
	if err != nil {
		panic(err)
	}
	fmt.Print(schema)
	// Output:
	// CREATE TABLE IF NOT EXISTS `carryon_records` (
	//   id VARBINARY(64) NOT NULL PRIMARY KEY,
	//   number BIGINT NOT NULL,
	//   tag BINARY(16) NOT NULL,
	//   data MEDIUMBLOB NOT NULL,
	//   expires BIGINT NOT NULL,
	//   KEY `carryon_records_expires` (expires)
	// ) ENGINE=InnoDB;
}

func ExampleNew() {
	var db *sql.DB // db, err := sql.Open("pgx", dsn)
	if db == nil {
		return
	}
	store, err := sqlstore.New(db, sqlstore.Options{Dialect: sqlstore.Postgres})
	if err != nil {
		panic(err)
	}
	if err := store.Migrate(context.Background()); err != nil {
		panic(err)
	}
}
