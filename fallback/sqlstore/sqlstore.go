package sqlstore

import (
	"context"
	"database/sql"
	"errors"
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
}

// Store is a [fallback.Store] in a table. It is a [fallback.Counter], a
// [fallback.Clearer] and a [fallback.Sweeper].
type Store struct {
	db   *sql.DB
	opt  Options
	name name
	q    queries
	kept statementCache
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Sweeper = (*Store)(nil)
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
// it conflicts (with MySQL, three for a new record).
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	done, err := s.put(ctx, id, old, new)
	if err == nil && !done {
		// Where it was sent before and the answer was lost, it stands.
		done, err = s.stands(ctx, id, new.Revision)
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
	r, now := new.Revision, s.now()
	values := []any{int64(r.Number), r.Tag[:], notNil(new.Data), new.Expires.UnixMilli()}
	if !old.IsZero() {
		return s.changed(ctx, s.q.update, append(values, []byte(id), now, int64(old.Number), old.Tag[:])...)
	}
	inserted := append([]any{[]byte(id)}, values...)
	if s.opt.Dialect != MySQL {
		return s.changed(ctx, s.q.create, append(inserted, now)...)
	}
	done, err := s.changed(ctx, s.q.create, inserted...)
	if err == nil && !done {
		done, err = s.changed(ctx, s.q.replace, append(values, []byte(id), now)...)
	}
	return done, err
}

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

// same reports whether a row that a touch did not change is there: then it
// had that expiry before.
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
	_, err := s.changed(ctx, s.q.remove, []byte(id))
	return s.fail(ctx, "delete a record", err)
}

// Len is as in [fallback.Counter]. It reads the index.
func (s *Store) Len(ctx context.Context) (n int, err error) {
	err = s.one(ctx, s.q.count, []any{s.now()}, &n)
	return n, s.fail(ctx, "count the records", err)
}

// Clear is as in [fallback.Clearer]: a DELETE of all rows in one statement.
func (s *Store) Clear(ctx context.Context) error {
	_, err := s.changed(ctx, s.q.clear)
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
