package sqlstore

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// sweepGrace is how long an expired record is kept, for replicas whose
	// clocks are behind.
	sweepGrace = time.Minute

	// maxSweep is the maximum number of rows per statement. It keeps locks
	// short and stays within the engines' limits for lists.
	maxSweep = 500
)

// Sweep implements [fallback.Sweeper] with statements of at most 500 rows.
func (s *Store) Sweep(ctx context.Context, limit int) (total int, err error) {
	before := s.now() - sweepGrace.Milliseconds()
	for total < limit {
		batch := min(limit-total, maxSweep)
		var found, removed int
		err := retry(ctx, func(int) (err error) {
			found, removed, err = s.sweep(ctx, before, batch)
			return err
		})
		total += removed
		if err != nil {
			return total, s.fail(ctx, "remove expired records", err)
		}
		if found < batch {
			break
		}
	}
	return total, s.fail(ctx, "remove expired records", ctx.Err())
}

// sweep selects ids and deletes by id, because a DELETE over a range also
// locks its gaps, which would block inserts.
func (s *Store) sweep(ctx context.Context, before int64, limit int) (found, removed int, err error) {
	args := []any{before}
	rows, err := s.db.QueryContext(ctx, s.q.expired, before, limit)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return 0, 0, err
		}
		args = append(args, id)
	}
	if err := rows.Err(); err != nil || len(args) == 1 {
		return 0, 0, err
	}
	found = len(args) - 1
	result, err := s.db.ExecContext(ctx, s.q.sweep(found), args...)
	if err != nil {
		return found, 0, err
	}
	n, err := result.RowsAffected()
	return found, int(n), err
}

// maybeSweep occasionally removes some expired records. It ignores errors,
// because the Save itself succeeded and a later Save will try again.
func (s *Store) maybeSweep(ctx context.Context) {
	if s.opt.SweepEvery > 0 && rand.IntN(s.opt.SweepEvery) == 0 {
		_, _ = s.Sweep(ctx, s.opt.SweepBatch)
	}
}
