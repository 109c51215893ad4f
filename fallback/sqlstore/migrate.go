package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

const (
	// migrateTries is how often Migrate tries while other sessions hold locks
	// or create the same objects.
	migrateTries = 6

	// ddlLock is how long DDL waits for a lock. Statements queued behind it
	// wait equally long, so it must be shorter than Config.Fallback.Timeout.
	ddlLock = "500ms"

	// largeTable is the maximum size in bytes of a PostgreSQL table to which
	// Migrate adds the index, because that blocks writes.
	largeTable = 32 << 20
)

// Migrate creates the table if it is missing. Any number of replicas may call
// it at startup.
//
// Migrate first reads the engine's catalogue. If the table is complete, it
// returns without waiting for a lock, and the rights to read and write rows
// suffice. If a column or a key does not fit, it changes nothing and returns a
// [*fallback.CheckError]. Otherwise it creates the missing objects with a lock
// timeout of half a second (MySQL: one second), so that queued writers can
// continue, and retries for a few seconds.
func (s *Store) Migrate(ctx context.Context) error {
	pause := 50 * time.Millisecond
	for try := 1; ; try++ {
		done, err := s.migrate(ctx)
		if done || err != nil && (!isTransient(err) || try == migrateTries) {
			return s.fail(ctx, "create the table", err)
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return s.fail(ctx, "create the table", errors.Join(ctx.Err(), err))
		}
		pause *= 2
	}
}

// migrate creates missing objects and reports whether the table was already
// complete.
func (s *Store) migrate(ctx context.Context) (done bool, err error) {
	var t table
	if err := retry(ctx, func(int) error { t, err = s.inspect(ctx); return err }); err != nil {
		return false, err
	}
	if findings := t.findings(s); len(findings) > 0 && t.exists {
		return false, fallback.NewCheckError("table "+s.name.table, findings)
	}
	switch {
	case t.exists && t.swept:
		return true, s.verify(ctx)
	case t.invalid:
		return false, fmt.Errorf("the index %s is invalid, probably after an interrupted CREATE INDEX CONCURRENTLY; "+
			"drop it and create it again", s.name.index)
	}
	switch s.opt.Dialect {
	case Postgres:
		return false, s.createPostgres(ctx, t)
	case MySQL:
		return false, s.createMySQL(ctx, t)
	}
	return false, execAll(ctx, s.db, statements(SQLite, s.name))
}

func execAll(ctx context.Context, on session, statements []string) error {
	for _, statement := range statements {
		if _, err := on.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// createPostgres creates the table and its index in one transaction. It adds
// the index to an existing table only if the table is small.
func (s *Store) createPostgres(ctx context.Context, t table) error {
	return s.inReadCommitted(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '"+ddlLock+"'"); err != nil {
			return err
		}
		if !t.exists {
			return execAll(ctx, tx, statements(Postgres, s.name))
		}
		var size int64
		err := tx.QueryRowContext(ctx, "SELECT pg_relation_size(to_regclass($1))", s.name.table).Scan(&size)
		if err == nil && size > largeTable {
			err = fmt.Errorf("the table has no index on expires and is too large (%d MiB) to add it without blocking writes; "+
				"run CREATE INDEX CONCURRENTLY %s ON %s (expires)", size>>20, s.name.index, s.name.table)
		}
		if err != nil {
			return err
		}
		return execAll(ctx, tx, statements(Postgres, s.name)[1:])
	})
}

// createMySQL creates the table, or adds the index online. It resets the lock
// timeout, which belongs to the connection.
func (s *Store) createMySQL(ctx context.Context, t table) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	statement := statements(MySQL, s.name)[0]
	if t.exists {
		statement = "ALTER TABLE " + s.name.table + " ADD INDEX " + s.name.index + " (expires), ALGORITHM=INPLACE, LOCK=NONE"
	}
	if _, err := conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = 1"); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, statement)
	_, reset := conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = DEFAULT")
	return errors.Join(err, reset)
}
