package scsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/carryon-go/carryon/fallback"
)

// DefaultPrefix is what tokens are derived with where Options.Prefix is empty.
const DefaultPrefix = "carryon:"

// grace is how long the engine keeps a record that has expired, for replicas
// whose clocks are behind.
const grace = time.Minute

// Options says how a store is made. The zero value is ready to use.
type Options struct {
	// Prefix keeps the records of programs apart that share an engine; ""
	// means [DefaultPrefix]. It goes into the hash that a token is, and cannot
	// be seen in it. Programs may share it: their ids never meet.
	Prefix string

	// MaxRecord is how many bytes of sealed data the engine takes; its value
	// has a third more and 150 bytes. 0 means fallback.MaxRecord, and more
	// cannot be. A longer record is answered with fallback.ErrTooLarge.
	MaxRecord int

	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time
}

// New makes a store over one of scs, which stays the caller's to close. It
// does not speak to the engine.
func New(over scs.Store, o Options) (*Store, error) {
	if over == nil {
		return nil, errors.New("scsstore: no scs store; give New one")
	}
	if o.MaxRecord < 0 || o.MaxRecord > fallback.MaxRecord {
		return nil, fmt.Errorf("scsstore: Options.MaxRecord is 0 to %d bytes", fallback.MaxRecord)
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

// Store is a [fallback.Store] over a store of scs. It is a [fallback.Checker],
// and, if the scs store can list, a [fallback.Counter] and a [fallback.Clearer].
// Make one for each engine in a process and share it: only the calls of one
// Store wait for each other.
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

// Load is as in [fallback.Store]: one Find.
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

// Save is as in [fallback.Store], within this process: a Find and a Commit.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	if len(new.Data) > s.opt.MaxRecord {
		return fmt.Errorf("%w: it has %d bytes and Options.MaxRecord is %d", fallback.ErrTooLarge, len(new.Data), s.opt.MaxRecord)
	}
	return s.change(ctx, id, "save a record", func(stands fallback.Record, found bool) (fallback.Record, error) {
		if found && stands.Revision == new.Revision {
			return stands, nil // it has happened before
		}
		if stands.Revision != old { // zero where nothing stands
			return stands, fallback.ErrConflict
		}
		return new, nil
	})
}

// Touch is as in [fallback.Store], within this process: a Find and a Commit.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	return s.change(ctx, id, "touch a record", func(stands fallback.Record, found bool) (fallback.Record, error) {
		if !found {
			return stands, fallback.ErrNotFound
		}
		stands.Expires = expires
		return stands, nil
	})
}

// Delete is as in [fallback.Store]: one Delete.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	t := s.token(id)
	return fail(ctx, "delete a record", s.locks.with(ctx, t, func() error { return s.engine.delete(ctx, t) }))
}

// change puts what decide makes of a record in its place. The error that
// decide gives is the answer.
func (s *Store) change(ctx context.Context, id, what string, decide func(fallback.Record, bool) (fallback.Record, error)) error {
	t := s.token(id)
	var answer error
	err := s.locks.with(ctx, t, func() error {
		stands, found, err := s.find(ctx, id)
		if err != nil {
			return err
		}
		next, err := decide(stands, found)
		switch {
		case err != nil:
			answer = err
			return nil
		case found && next.Revision == stands.Revision && next.Expires.Equal(stands.Expires):
			return nil
		}
		return s.put(ctx, t, id, next)
	})
	if err != nil {
		return fail(ctx, what, err)
	}
	return answer
}

// find gives the record that stands there, or the zero one.
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

// put writes a record. To some engines an expiry that has passed means none,
// so that a record which has expired is deleted.
func (s *Store) put(ctx context.Context, t token, id string, rec fallback.Record) error {
	if rec.Expires.UnixMilli() <= s.now() {
		return s.engine.delete(ctx, t)
	}
	return s.engine.commit(ctx, t, pack(id, rec), rec.Expires.Add(grace))
}

func (s *Store) now() int64 { return s.opt.Clock().UnixMilli() }

// fail says what could not be done. The engine's own error may hide that the
// context has ended.
func fail(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("scsstore: cannot %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("scsstore: cannot %s: %w", what, err)
}
