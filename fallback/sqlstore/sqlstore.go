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

// Options says how a [Store] is made. Dialect is needed.
type Options struct {
	Dialect Dialect

	// Table is the table's name; "" means [DefaultTable]. Programs that share
	// a database may share the table too: their ids never meet.
	Table string

	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time

	// SweepEvery is how many Saves there are, on average, to one that removes
	// expired records too. 0 means 100; negative means that none does, and
	// somebody must call [Store.Sweep].
	SweepEvery int

	// SweepBatch is how many records such a Save removes at most; 0 means 50.
	// Negative is an error.
	SweepBatch int

	// WithoutPrepare sends each statement with its values instead of preparing
	// it once for each connection, for poolers that do not pass on prepared
	// statements. With go-sql-driver/mysql, set interpolateParams=true in the
	// DSN as well: otherwise the driver prepares each statement anew. It has no
	// effect for PostgreSQL, whose drivers decide by themselves.
	WithoutPrepare bool
}

// Store is a [fallback.Store] in a table. It is a [fallback.Counter], a
// [fallback.Clearer], a [fallback.Sweeper] and a [fallback.Checker].
type Store struct {
	db    *sql.DB
	opt   Options
	name  name
	q     queries
	kept  statementCache
	ready atomic.Bool // MySQL: verify has found nothing wrong
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Sweeper = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// New makes a store over db, which stays the caller's to close. It does not
// speak to the database; [Store.Migrate] makes the table.
func New(db *sql.DB, o Options) (*Store, error) {
	n, err := parseName(o.Dialect, o.Table)
	if db == nil {
		err = errors.Join(err, errors.New("sqlstore: no database; use sql.Open"))
	}
	if o.SweepBatch < 0 {
		err = errors.Join(err, errors.New("sqlstore: Options.SweepBatch is negative; to sweep never, set SweepEvery to -1"))
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

// Load is as in [fallback.Store]: one round trip.
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
		err = errors.New("the row is none that this package has written")
	}
	if err != nil {
		return fallback.Record{}, s.fail(ctx, "load a record", err)
	}
	rec.Revision.Number, rec.Expires = uint64(number), time.UnixMilli(expires)
	copy(rec.Revision.Tag[:], tag)
	return rec, nil
}

// Save is as in [fallback.Store]: one round trip where it succeeds, two where
// it conflicts (with MySQL, up to four for a new record). A statement that the
// engine gives up again and again because of others is a conflict, too. With
// MySQL the first write of a Store costs three round trips more: it verifies
// that the table holds what is written, and that writes are committed.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	done, err := s.put(ctx, id, old, new)
	if err == nil && !done {
		// Where it was sent before and the answer was lost, it stands.
		done, err = s.stands(ctx, id, new.Revision)
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
	s.sweepInPassing(ctx)
	return nil
}

func (s *Store) put(ctx context.Context, id string, old fallback.Revision, new fallback.Record) (bool, error) {
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

// insert puts a record where none stands, or over one that has expired, with
// MySQL. It tries again only where a record was deleted in that very moment.
func (s *Store) insert(ctx context.Context, id string, now int64, inserted, replaced []any) (bool, error) {
	for range tries {
		done, err := s.changed(ctx, s.q.create, inserted...)
		if !duplicate(err) {
			return done, err
		}
		if done, err = s.changed(ctx, s.q.replace, replaced...); done || err != nil {
			return done, err
		}
		if found, err := s.same(ctx, id, 0); found || err != nil {
			return false, err
		}
	}
	return false, errOtherKey
}

// errOtherKey is where MySQL says that a key is taken, and nothing stands under
// the id.
var errOtherKey = errors.New("a unique key of the table refuses the record, and not that of id (error 1062); drop it")

func (s *Store) stands(ctx context.Context, id string, want fallback.Revision) (bool, error) {
	var number int64
	var tag []byte
	err := s.one(ctx, s.q.stands, []any{[]byte(id), s.now()}, &number, &tag)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return uint64(number) == want.Number && string(tag) == string(want.Tag[:]), err
}

// Touch is as in [fallback.Store]: one round trip. MySQL counts a row that
// stays as it is as not updated, so that there it may take a second.
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
		found, err = s.same(ctx, id, now)
	}
	if err != nil {
		return s.fail(ctx, "touch a record", err)
	}
	if !found {
		return fallback.ErrNotFound
	}
	return nil
}

// same reports whether there is a row that expires after now. Where a touch has
// changed none, it had that expiry before.
func (s *Store) same(ctx context.Context, id string, now int64) (bool, error) {
	var number int64
	var tag []byte
	err := s.one(ctx, s.q.stands, []any{[]byte(id), now}, &number, &tag)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Delete is as in [fallback.Store]: one round trip.
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

// Len is as in [fallback.Counter]. It reads the index.
func (s *Store) Len(ctx context.Context) (n int, err error) {
	err = s.one(ctx, s.q.count, []any{s.now()}, &n)
	return n, s.fail(ctx, "count the records", err)
}

// Clear is as in [fallback.Clearer]: a DELETE of all rows in one statement.
func (s *Store) Clear(ctx context.Context) error {
	err := s.verify(ctx)
	if err == nil {
		_, err = s.changed(ctx, s.q.clear)
	}
	return s.fail(ctx, "clear the table", err)
}

func (s *Store) now() int64 { return s.opt.Clock().UnixMilli() }

// notNil is for drivers that make NULL of a nil slice.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
