package scsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/carryon-go/carryon/fallback"
)

// DefaultPrefix is used if Options.Prefix is empty.
const DefaultPrefix = "carryon:"

// grace is how long the engine keeps an expired record, for replicas whose
// clocks are behind.
const grace = time.Minute

// Options configures a [Store]. The zero value is ready to use.
type Options struct {
	// Prefix separates the records of programs that share an engine; "" means
	// [DefaultPrefix]. It is part of the hash in a token and not visible
	// there. Programs may use the same prefix, because their ids never
	// collide.
	Prefix string

	// MaxRecord is the maximum size in bytes of sealed data in the engine; the
	// value is a third longer plus 150 bytes. 0 means fallback.MaxRecord, the
	// upper limit. A longer record is refused with fallback.ErrTooLarge.
	MaxRecord int

	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time
}

// New returns a store over a store of scs. The caller closes that store. New
// does not contact the engine.
func New(over scs.Store, o Options) (*Store, error) {
	if over == nil {
		return nil, errors.New("scsstore: no scs store; give New one")
	}
	if o.MaxRecord < 0 || o.MaxRecord > fallback.MaxRecord {
		return nil, fmt.Errorf("scsstore: Options.MaxRecord must be 0 to %d bytes", fallback.MaxRecord)
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = fallback.MaxRecord
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Store{engine: newEngine(over), locks: newLocks(), opt: o}, nil
}

// Store is a [fallback.Store] over a store of scs. It is also a
// [fallback.Checker] and, if the scs store can list, a [fallback.Counter] and
// a [fallback.Clearer]. Create one for each engine in a process and share it,
// because only calls of the same Store are serialised.
type Store struct {
	engine engine
	locks  locks
	opt    Options
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// Load implements [fallback.Store] with one Find.
func (s *Store) Load(ctx context.Context, id string) (fallback.Record, error) {
	if err := fallback.CheckID(id); err != nil {
		return fallback.Record{}, err
	}
	rec, found, err := s.find(ctx, id)
	if err != nil {
		return fallback.Record{}, fail(ctx, "load a record", err)
	}
	if !found {
		return fallback.Record{}, fallback.ErrNotFound
	}
	return rec, nil
}

// Save implements [fallback.Store] within this process, with a Find and a
// Commit.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	if len(new.Data) > s.opt.MaxRecord {
		return fmt.Errorf("%w: it has %d bytes and Options.MaxRecord is %d", fallback.ErrTooLarge, len(new.Data), s.opt.MaxRecord)
	}
	return s.change(ctx, id, "save a record", func(current fallback.Record, found bool) (fallback.Record, error) {
		if found && current.Revision == new.Revision {
			return current, nil // it has happened before
		}
		if current.Revision != old { // zero if there is no record
			return current, fallback.ErrConflict
		}
		return new, nil
	})
}

// Touch implements [fallback.Store] within this process, with a Find and a
// Commit.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	return s.change(ctx, id, "touch a record", func(current fallback.Record, found bool) (fallback.Record, error) {
		if !found {
			return current, fallback.ErrNotFound
		}
		current.Expires = expires
		return current, nil
	})
}

// Delete implements [fallback.Store] with one Delete.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	t := s.token(id)
	return fail(ctx, "delete a record", s.locks.with(ctx, t, func() error { return s.engine.delete(ctx, t) }))
}

// change replaces a record by the result of decide. It returns the error of
// decide.
func (s *Store) change(ctx context.Context, id, what string, decide func(fallback.Record, bool) (fallback.Record, error)) error {
	t := s.token(id)
	var answer error
	err := s.locks.with(ctx, t, func() error {
		current, found, err := s.find(ctx, id)
		if err != nil {
			return err
		}
		next, err := decide(current, found)
		switch {
		case err != nil:
			answer = err
			return nil
		case found && next.Revision == current.Revision && next.Expires.Equal(current.Expires):
			return nil
		}
		return s.put(ctx, t, id, next)
	})
	if err != nil {
		return fail(ctx, what, err)
	}
	return answer
}

// find returns the current record, or the zero record.
func (s *Store) find(ctx context.Context, id string) (fallback.Record, bool, error) {
	value, found, err := s.engine.find(ctx, s.token(id))
	if err != nil || !found {
		return fallback.Record{}, false, err
	}
	rec, whose, err := unpack(value)
	switch {
	case err != nil:
		return fallback.Record{}, false, err
	case whose != id:
		return fallback.Record{}, false, errForeign
	case rec.Expires.UnixMilli() <= s.now():
		return fallback.Record{}, false, nil
	}
	return rec, true, nil
}

// put writes a record. It deletes an expired record instead, because some
// engines treat a past expiry as none.
func (s *Store) put(ctx context.Context, t token, id string, rec fallback.Record) error {
	if rec.Expires.UnixMilli() <= s.now() {
		return s.engine.delete(ctx, t)
	}
	return s.engine.commit(ctx, t, pack(id, rec), rec.Expires.Add(grace))
}

func (s *Store) now() int64 { return s.opt.Clock().UnixMilli() }

// fail adds the failed operation to an error. It also adds the error of an
// ended context, which the engine's own error may hide.
func fail(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("scsstore: cannot %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("scsstore: cannot %s: %w", what, err)
}
