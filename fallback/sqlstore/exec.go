package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// tries is how often a statement is sent that the engine gives up for the
// sake of another one. All of them may be repeated.
const tries = 4

// statementCache keeps the statements that were prepared.
type statementCache struct {
	mu    sync.Mutex
	known map[string]*sql.Stmt
}

// prepared gives the statement for a query, or nil where it is better sent as
// it is. The drivers of PostgreSQL keep statements by themselves, or must not
// because of a pooler in between. That of MySQL would prepare and close one
// for each call: three round trips.
func (s *Store) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.opt.Dialect == Postgres {
		return nil, nil
	}
	s.kept.mu.Lock()
	statement := s.kept.known[query]
	s.kept.mu.Unlock()
	if statement != nil {
		return statement, nil
	}
	statement, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.keep(query, statement), nil
}

// keep keeps the first statement of those who prepare the same at once.
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

// changed runs a statement and reports whether it changed a row.
func (s *Store) changed(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := again(func() error {
		result, err := s.exec(ctx, query, args)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n > 0, err
}

func (s *Store) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	statement, err := s.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return s.db.ExecContext(ctx, query, args...)
	}
	return statement.ExecContext(ctx, args...)
}

// one reads a row; the error is sql.ErrNoRows if there is none.
func (s *Store) one(ctx context.Context, query string, args []any, into ...any) error {
	return again(func() error {
		statement, err := s.prepared(ctx, query)
		if err != nil {
			return err
		}
		if statement == nil {
			return s.db.QueryRowContext(ctx, query, args...).Scan(into...)
		}
		return statement.QueryRowContext(ctx, args...).Scan(into...)
	})
}

func again(call func() error) (err error) {
	for range tries {
		if err = call(); err == nil || !givenUp(err) {
			return err
		}
	}
	return err
}

// givenUp reports whether the engine has undone a statement because of
// another one and asks to send it again: a deadlock, or a serialization
// failure where the database's default isolation is that strict. The drivers'
// types are not ours to import: PostgreSQL's have a method, MySQL's a text.
func givenUp(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState() == "40001" || state.SQLState() == "40P01"
	}
	text := err.Error()
	return strings.Contains(text, "Error 1213 ") || strings.Contains(text, "Error 1020 ")
}

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
