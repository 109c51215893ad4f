package sqlstore

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// sweepGrace is how long an expired record stays, for replicas whose clock
	// is behind that of the one who sweeps.
	sweepGrace = time.Minute

	// sweepMost is how many rows one statement removes, so that it locks
	// little, and keeps within what engines allow in a list.
	sweepMost = 500
)

// Sweep is as in [fallback.Sweeper], in statements of at most 500 rows.
func (s *Store) Sweep(ctx context.Context, limit int) (total int, err error) {
	before := s.now() - sweepGrace.Milliseconds()
	for total < limit {
		batch := min(limit-total, sweepMost)
		var found, removed int
		err := again(ctx, func(int) (err error) {
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

// sweep looks for ids first and removes them by id: a DELETE over a range
// locks the gaps in it too, and would make those wait who create records.
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

// sweepInPassing sweeps a little, once in a while. That it failed is no matter
// of the Save's that it goes with: the next one tries again.
func (s *Store) sweepInPassing(ctx context.Context) {
	if s.opt.SweepEvery > 0 && rand.IntN(s.opt.SweepEvery) == 0 {
		_, _ = s.Sweep(ctx, s.opt.SweepBatch)
	}
}
