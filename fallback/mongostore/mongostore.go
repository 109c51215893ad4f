package mongostore

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/carryon-go/carryon/fallback"
)

// DefaultCollection is a name for the collection, for who has no other.
const DefaultCollection = "carryon_records"

// Options says how a [Store] is made. The zero value is ready to use.
type Options struct {
	// MajorityReads reads with the read concern "majority" instead of
	// "linearizable": faster, and possible on a server that stands alone, and
	// on services that do not know the other. In exchange, for about ten
	// seconds after a failover, those who still reach the old primary may be
	// shown a session after its logout.
	MajorityReads bool

	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time
}

// Store is a [fallback.Store] in a collection. It is a [fallback.Counter],
// a [fallback.Clearer] and a [fallback.Checker]; MongoDB sweeps by itself once
// [Store.Migrate] has run.
type Store struct {
	one  *mongo.Collection // for what reads one record, and for all writes
	many *mongo.Collection // for what reads many
	opt  Options
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// New makes a store over a collection. The client stays the caller's to
// disconnect. It does not speak to the server; [Store.Migrate] makes the index.
func New(collection *mongo.Collection, o Options) (*Store, error) {
	if collection == nil {
		return nil, errors.New("mongostore: no collection; use client.Database(name).Collection(name)")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Store{many: withConcern(collection, readconcern.Majority()), opt: o}
	s.one = s.many
	if !o.MajorityReads {
		s.one = withConcern(collection, readconcern.Linearizable())
	}
	return s, nil
}

// withConcern replaces whatever the collection has from its program that
// could make a call weaker, or a document other than documented.
func withConcern(collection *mongo.Collection, read *readconcern.ReadConcern) *mongo.Collection {
	journaled := true
	return collection.Clone(options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(read).
		SetReadPreference(readpref.Primary()).
		SetRegistry(bson.NewRegistry()).
		SetBSONOptions(&options.BSONOptions{}))
}

// alone takes the session of MongoDB out of a context. With it, the call would
// be part of a transaction that the program may undo.
func alone(ctx context.Context) context.Context { return mongo.NewSessionContext(ctx, nil) }

// Load is as in [fallback.Store]: one find.
func (s *Store) Load(ctx context.Context, id string) (fallback.Record, error) {
	if err := fallback.CheckID(id); err != nil {
		return fallback.Record{}, err
	}
	doc, err := s.one.FindOne(alone(ctx), byID(id)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return fallback.Record{}, fallback.ErrNotFound
	}
	var rec fallback.Record
	if err == nil {
		rec, err = unpack(doc)
	}
	if err != nil {
		return fallback.Record{}, fail(ctx, "load a record", err)
	}
	if !s.live(rec) {
		return fallback.Record{}, fallback.ErrNotFound
	}
	return rec, nil
}

// Save is as in [fallback.Store]: one insert or update where it succeeds, two
// for a new record over one that has expired, and a find more where it
// conflicts.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	save := s.update
	if old.IsZero() {
		save = s.create
	}
	done, err := save(alone(ctx), id, old, new)
	if err != nil {
		return fail(ctx, "save a record", err)
	}
	if !done {
		return fallback.ErrConflict
	}
	return nil
}

// update replaces what stands at the revision old.
func (s *Store) update(ctx context.Context, id string, old fallback.Revision, new fallback.Record) (bool, error) {
	done, err := s.replace(ctx, standing(id, old, s.opt.Clock()), new)
	if done || err != nil {
		return done, err
	}
	// Where it was sent before and the answer was lost, it stands.
	rec, err := s.head(ctx, id)
	return s.live(rec) && rec.Revision == new.Revision, err
}

// tries is how often a record is created where what was in the way is gone a
// moment later. More than once means a deletion in that very moment.
const tries = 4

// create puts a record where none stands, or only one that has expired.
func (s *Store) create(ctx context.Context, id string, _ fallback.Revision, new fallback.Record) (bool, error) {
	for range tries {
		_, err := s.one.InsertOne(ctx, append(byID(id), pack(new)...))
		if !mongo.IsDuplicateKeyError(err) {
			return err == nil, err
		}
		done, err := s.replace(ctx, expired(id, s.opt.Clock()), new)
		if done || err != nil {
			return done, err
		}
		rec, err := s.head(ctx, id)
		if err != nil || s.live(rec) {
			return rec.Revision == new.Revision, err
		}
	}
	return false, errRefused
}

// replace puts the record in the place of the one that the filter finds.
func (s *Store) replace(ctx context.Context, filter bson.D, rec fallback.Record) (bool, error) {
	result, err := s.one.ReplaceOne(ctx, filter, pack(rec))
	return err == nil && result.MatchedCount > 0, err
}

// head reads a record without its data; the zero Record if there is none.
func (s *Store) head(ctx context.Context, id string) (fallback.Record, error) {
	doc, err := s.one.FindOne(ctx, byID(id), options.FindOne().SetProjection(headFields)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return fallback.Record{}, nil
	}
	if err != nil {
		return fallback.Record{}, err
	}
	return unpackHead(doc)
}

// Touch is as in [fallback.Store]: one update, and a find where it finds
// nothing.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	set := bson.D{{Key: "$set", Value: bson.D{{Key: fieldExpires, Value: date(expires)}}}}
	result, err := s.one.UpdateOne(alone(ctx), live(id, s.opt.Clock()), set)
	if err == nil && result.MatchedCount == 0 {
		// A document that is not ours is no record that is missing.
		if _, err = s.head(alone(ctx), id); err == nil {
			return fallback.ErrNotFound
		}
	}
	return fail(ctx, "touch a record", err)
}

// Delete is as in [fallback.Store]: one delete.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	_, err := s.one.DeleteOne(alone(ctx), byID(id))
	return fail(ctx, "delete a record", err)
}

// Len is as in [fallback.Counter]: one aggregation, which reads the index.
func (s *Store) Len(ctx context.Context) (int, error) {
	n, err := s.many.CountDocuments(alone(ctx), unexpired(s.opt.Clock()))
	return int(n), fail(ctx, "count the records", err)
}

// Clear is as in [fallback.Clearer]: it removes all documents of the
// collection, whoever has written them.
func (s *Store) Clear(ctx context.Context) error {
	_, err := s.many.DeleteMany(alone(ctx), bson.D{})
	return fail(ctx, "clear the records", err)
}

// live reports whether a record stands; the zero Record does not.
func (s *Store) live(rec fallback.Record) bool {
	return !rec.Revision.IsZero() && rec.Expires.UnixMilli() > s.opt.Clock().UnixMilli()
}
