package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// Options configures a [Store]. Dialect is required.
type Options struct {
	Dialect Dialect

	// Table is the name of the table; "" means [DefaultTable]. Programs that
	// share a database may share the table, because their ids never collide.
	Table string

	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time

	// SweepEvery sets how often a Save also removes expired records: on
	// average, one Save in SweepEvery does. 0 means 100. A negative value
	// means never; then call [Store.Sweep] yourself.
	SweepEvery int

	// SweepBatch is the maximum number of records that such a Save removes; 0
	// means 50. A negative value is an error.
	SweepBatch int

	// WithoutPrepare sends each statement with its values instead of preparing
	// it once per connection. Use it if a pooler does not support prepared
	// statements. With go-sql-driver/mysql, also set interpolateParams=true in
	// the DSN; otherwise the driver prepares each statement itself. The option
	// has no effect for PostgreSQL, whose drivers decide this themselves.
	WithoutPrepare bool
}

// Store is a [fallback.Store] in a database table. It is also a
// [fallback.Counter], [fallback.Clearer], [fallback.Sweeper] and
// [fallback.Checker].
type Store struct {
	db           *sql.DB
	opt          Options
	name         name
	q            queries
	prepareCache statementCache
	ready        atomic.Bool // MySQL: verify found no problem
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Sweeper = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// New returns a store over db. The caller closes db. New does not access the
// database; [Store.Migrate] creates the table.
func New(db *sql.DB, o Options) (*Store, error) {
	n, err := parseName(o.Dialect, o.Table)
	if db == nil {
		err = errors.Join(err, errors.New("sqlstore: no database; use sql.Open"))
	}
	if o.SweepBatch < 0 {
		err = errors.Join(err, errors.New("sqlstore: Options.SweepBatch is negative; to never sweep, set SweepEvery to -1"))
	}
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = 100
	}
	if o.SweepBatch == 0 {
		o.SweepBatch = 50
	}
	return &Store{db: db, opt: o, name: n, q: newQueries(o.Dialect, n.table)}, nil
}

// Load implements [fallback.Store] in one round trip.
func (s *Store) Load(ctx context.Context, id string) (rec fallback.Record, err error) {
	if err := fallback.CheckID(id); err != nil {
		return rec, err
	}
	var number, expires int64
	var tag []byte
	err = s.one(ctx, s.q.load, []any{[]byte(id), s.now()}, &number, &tag, &rec.Data, &expires)
	if errors.Is(err, sql.ErrNoRows) && ctx.Err() == nil {
		return fallback.Record{}, fallback.ErrNotFound
	}
	if err == nil && (number < 1 || len(tag) != len(rec.Revision.Tag) || len(rec.Data) > fallback.MaxRecord) {
		err = errors.New("the row was not written by this package")
	}
	if err != nil {
		return fallback.Record{}, s.fail(ctx, "load a record", err)
	}
	rec.Revision.Number, rec.Expires = uint64(number), time.UnixMilli(expires)
	copy(rec.Revision.Tag[:], tag)
	return rec, nil
}

// Save implements [fallback.Store]. It takes one round trip if it succeeds and
// two for a conflict (MySQL: up to four for a new record). It returns a
// conflict if the engine keeps aborting the statement. On MySQL, the first
// write of a Store takes three more round trips, to verify that the columns
// are large enough and that writes are committed.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	done, err := s.write(ctx, id, old, new)
	if err == nil && !done {
		// If an earlier attempt succeeded and its answer was lost, the record
		// has the new revision.
		done, err = s.hasRevision(ctx, id, new.Revision)
	}
	if busy := (errContention{}); errors.As(err, &busy) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", fallback.ErrConflict, err)
	}
	if err != nil {
		return s.fail(ctx, "save a record", err)
	}
	if !done {
		return fallback.ErrConflict
	}
	s.maybeSweep(ctx)
	return nil
}

func (s *Store) write(ctx context.Context, id string, old fallback.Revision, new fallback.Record) (bool, error) {
	if err := s.verify(ctx); err != nil {
		return false, err
	}
	r, now := new.Revision, s.now()
	values := []any{int64(r.Number), r.Tag[:], notNil(new.Data), new.Expires.UnixMilli()}
	if !old.IsZero() {
		return s.changed(ctx, s.q.update, append(values, []byte(id), now, int64(old.Number), old.Tag[:])...)
	}
	inserted := append([]any{[]byte(id)}, values...)
	if s.opt.Dialect != MySQL {
		return s.changed(ctx, s.q.create, append(inserted, now)...)
	}
	return s.insert(ctx, id, now, inserted, append(values, []byte(id), now))
}

// insert creates a record on MySQL, where there is none or only an expired
// one. It retries if a concurrent call deletes the record in between.
func (s *Store) insert(ctx context.Context, id string, now int64, inserted, replaced []any) (bool, error) {
	for range tries {
		done, err := s.changed(ctx, s.q.create, inserted...)
		if !duplicate(err) {
			return done, err
		}
		if done, err = s.changed(ctx, s.q.replace, replaced...); done || err != nil {
			return done, err
		}
		if found, err := s.exists(ctx, id, 0); found || err != nil {
			return false, err
		}
	}
	return false, errOtherKey
}

// errOtherKey reports that MySQL refuses a duplicate key although no record
// has the id.
var errOtherKey = errors.New("a unique key other than that of id refuses the record (error 1062); drop that key")

func (s *Store) hasRevision(ctx context.Context, id string, want fallback.Revision) (bool, error) {
	var number int64
	var tag []byte
	err := s.one(ctx, s.q.revision, []any{[]byte(id), s.now()}, &number, &tag)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return uint64(number) == want.Number && string(tag) == string(want.Tag[:]), err
}

// Touch implements [fallback.Store] in one round trip. MySQL may need a second
// one, because it does not count a row whose values stay the same.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	if err := s.verify(ctx); err != nil {
		return s.fail(ctx, "touch a record", err)
	}
	now := s.now()
	found, err := s.changed(ctx, s.q.touch, expires.UnixMilli(), []byte(id), now)
	if err == nil && !found && s.opt.Dialect == MySQL {
		found, err = s.exists(ctx, id, now)
	}
	if err != nil {
		return s.fail(ctx, "touch a record", err)
	}
	if !found {
		return fallback.ErrNotFound
	}
	return nil
}

// exists reports whether there is a row that expires after now. If a touch
// changed no row, that row already had the expiry.
func (s *Store) exists(ctx context.Context, id string, now int64) (bool, error) {
	var number int64
	var tag []byte
	err := s.one(ctx, s.q.revision, []any{[]byte(id), now}, &number, &tag)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Delete implements [fallback.Store] in one round trip.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	err := s.verify(ctx)
	if err == nil {
		_, err = s.changed(ctx, s.q.remove, []byte(id))
	}
	return s.fail(ctx, "delete a record", err)
}

// Len implements [fallback.Counter]. It reads the index.
func (s *Store) Len(ctx context.Context) (n int, err error) {
	err = s.one(ctx, s.q.count, []any{s.now()}, &n)
	return n, s.fail(ctx, "count the records", err)
}

// Clear implements [fallback.Clearer] with one DELETE of all rows.
func (s *Store) Clear(ctx context.Context) error {
	err := s.verify(ctx)
	if err == nil {
		_, err = s.changed(ctx, s.q.clear)
	}
	return s.fail(ctx, "clear the table", err)
}

func (s *Store) now() int64 { return s.opt.Clock().UnixMilli() }

// notNil replaces a nil slice, which some drivers send as NULL.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
