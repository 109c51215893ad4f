package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

const (
	// tries is how often a statement is sent if the engine aborts it because
	// of another one. All statements of a store may be repeated.
	tries = 6

	// firstPause and maxPause limit the pause between two attempts. The pause
	// is random, so that conflicting statements do not conflict again.
	firstPause = 4 * time.Millisecond
	maxPause   = 64 * time.Millisecond
)

// statementCache holds prepared statements.
type statementCache struct {
	mu    sync.Mutex
	known map[string]*sql.Stmt
}

// prepared returns the prepared statement for a query, or nil if the query
// should be sent directly. PostgreSQL's drivers cache statements themselves,
// or must not prepare because of a pooler. MySQL's driver would prepare and
// close a statement for each call, which takes three round trips.
func (s *Store) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.opt.Dialect == Postgres || s.opt.WithoutPrepare {
		return nil, nil
	}
	s.prepareCache.mu.Lock()
	statement := s.prepareCache.known[query]
	s.prepareCache.mu.Unlock()
	if statement != nil {
		return statement, nil
	}
	statement, err := s.db.PrepareContext(ctx, query)
	if cannotPrepare(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.cache(query, statement), nil
}

// cache stores a prepared statement. If several callers prepared the same
// query, it keeps the first.
func (s *Store) cache(query string, statement *sql.Stmt) *sql.Stmt {
	s.prepareCache.mu.Lock()
	defer s.prepareCache.mu.Unlock()
	if first := s.prepareCache.known[query]; first != nil {
		_ = statement.Close()
		return first
	}
	if s.prepareCache.known == nil {
		s.prepareCache.known = make(map[string]*sql.Stmt)
	}
	s.prepareCache.known[query] = statement
	return statement
}

// forget drops a statement that the server no longer knows.
func (s *Store) forget(query string) {
	s.prepareCache.mu.Lock()
	defer s.prepareCache.mu.Unlock()
	if statement := s.prepareCache.known[query]; statement != nil {
		delete(s.prepareCache.known, query)
		go func() { _ = statement.Close() }() // Close waits for calls that use the statement
	}
}

// session runs statements; it is a *sql.DB or a *sql.Tx.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// changed runs a statement and reports whether it changed any row.
func (s *Store) changed(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := s.send(ctx, query, func(on session, statement *sql.Stmt) (err error) {
		var result sql.Result
		if statement != nil {
			result, err = statement.ExecContext(ctx, args...)
		} else {
			result, err = on.ExecContext(ctx, query, args...)
		}
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n > 0, err
}

// one reads a row; the error is sql.ErrNoRows if there is none.
func (s *Store) one(ctx context.Context, query string, args []any, into ...any) error {
	return s.send(ctx, query, func(on session, statement *sql.Stmt) error {
		if statement != nil {
			return statement.QueryRowContext(ctx, args...).Scan(into...)
		}
		return on.QueryRowContext(ctx, query, args...).Scan(into...)
	})
}

// send runs a statement. The first attempt uses a prepared statement, which
// takes one round trip. Retries use sendAgain.
func (s *Store) send(ctx context.Context, query string, run func(session, *sql.Stmt) error) error {
	return retry(ctx, func(try int) error {
		if try > 0 {
			return s.sendAgain(ctx, run)
		}
		statement, err := s.prepared(ctx, query)
		if err == nil {
			err = run(s.db, statement)
		}
		if lostStatement(err) {
			s.forget(query)
		}
		return err
	})
}

// sendAgain repeats a statement. On PostgreSQL it runs under READ COMMITTED,
// because under a stricter default isolation a statement can fail because of
// another record on the same page. A single statement compares and swaps
// correctly under either isolation.
func (s *Store) sendAgain(ctx context.Context, run func(session, *sql.Stmt) error) error {
	if s.opt.Dialect != Postgres {
		return run(s.db, nil)
	}
	return s.inReadCommitted(ctx, func(tx *sql.Tx) error { return run(tx, nil) })
}

// inReadCommitted runs f in a READ COMMITTED transaction.
func (s *Store) inReadCommitted(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// retry repeats call while the engine aborts the statement. After the last
// attempt it returns an errContention.
func retry(ctx context.Context, call func(try int) error) (err error) {
	pause := firstPause
	for try := range tries {
		if err = call(try); err == nil || !isAborted(err) && !lostStatement(err) {
			return err
		}
		if try == tries-1 {
			break
		}
		fallback.ReportAttempt(ctx, err)
		if try > 0 && !sleep(ctx, pause/2+rand.N(pause/2)) {
			break
		}
		pause = min(2*pause, maxPause)
	}
	return errContention{err}
}

// sleep returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// errContention reports that the engine aborted every attempt of a statement
// because of others. The statement changed nothing.
type errContention struct{ error }

func (e errContention) Unwrap() error { return e.error }

// fail adds the failed operation to an error. It also adds the error of an
// ended context, because drivers report that in their own words, such as
// "interrupted".
func (s *Store) fail(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("sqlstore: cannot %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("sqlstore: cannot %s: %w", what, err)
}
