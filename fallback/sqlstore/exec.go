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
	// tries is how often a statement is sent that the engine gives up because
	// of another one. All statements of a store may be repeated.
	tries = 6

	// firstPause and mostPause bound the pause before a statement is sent
	// again. It is drawn at random, so that those who met do not meet again.
	firstPause = 4 * time.Millisecond
	mostPause  = 64 * time.Millisecond
)

// statementCache keeps the statements that were prepared.
type statementCache struct {
	mu    sync.Mutex
	known map[string]*sql.Stmt
}

// prepared returns the statement for a query, or nil where it is better sent as
// it is. The drivers of PostgreSQL keep statements by themselves, or must not
// because of a pooler in between. The driver of MySQL would prepare and close
// one for each call, which takes three round trips.
func (s *Store) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.opt.Dialect == Postgres || s.opt.WithoutPrepare {
		return nil, nil
	}
	s.kept.mu.Lock()
	statement := s.kept.known[query]
	s.kept.mu.Unlock()
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
	return s.keep(query, statement), nil
}

// keep keeps the first statement if several callers prepare the same query.
func (s *Store) keep(query string, statement *sql.Stmt) *sql.Stmt {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	if first := s.kept.known[query]; first != nil {
		_ = statement.Close()
		return first
	}
	if s.kept.known == nil {
		s.kept.known = make(map[string]*sql.Stmt)
	}
	s.kept.known[query] = statement
	return statement
}

// forget drops a statement that the server has lost.
func (s *Store) forget(query string) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	if statement := s.kept.known[query]; statement != nil {
		delete(s.kept.known, query)
		go func() { _ = statement.Close() }() // it waits for calls that use it
	}
}

// session is what runs statements: a *sql.DB or a *sql.Tx.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// changed runs a statement and reports whether it changed a row.
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

// send runs a statement: prepared at first, which is one round trip, and by
// itself where the engine asks for it again.
func (s *Store) send(ctx context.Context, query string, run func(session, *sql.Stmt) error) error {
	return again(ctx, func(try int) error {
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

// sendAgain runs a statement once more. PostgreSQL runs it under READ
// COMMITTED, by name: where the default isolation is stricter, a statement can
// fail because of another record that stands on the same page. One statement
// compares and swaps correctly under either.
func (s *Store) sendAgain(ctx context.Context, run func(session, *sql.Stmt) error) error {
	if s.opt.Dialect != Postgres {
		return run(s.db, nil)
	}
	return s.committed(ctx, func(tx *sql.Tx) error { return run(tx, nil) })
}

// committed runs f in a transaction under READ COMMITTED.
func (s *Store) committed(ctx context.Context, f func(*sql.Tx) error) error {
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

// again calls until the engine has not given the statement up. Its last error
// is an errContention.
func again(ctx context.Context, call func(try int) error) (err error) {
	pause := firstPause
	for try := range tries {
		if err = call(try); err == nil || !givenUp(err) && !lostStatement(err) {
			return err
		}
		if try == tries-1 {
			break
		}
		fallback.ReportAttempt(ctx, err)
		if try > 0 && !sleep(ctx, pause/2+rand.N(pause/2)) {
			break
		}
		pause = min(2*pause, mostPause)
	}
	return errContention{err}
}

// sleep reports false if ctx ended meanwhile.
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

// errContention is for a statement that the engine gave up every time because
// of others. It has changed nothing.
type errContention struct{ error }

func (e errContention) Unwrap() error { return e.error }

// fail says what could not be done. Drivers report the end of a context in
// words of their own, as in "interrupted".
func (s *Store) fail(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("sqlstore: cannot %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("sqlstore: cannot %s: %w", what, err)
}
