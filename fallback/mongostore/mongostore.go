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

// DefaultCollection is a default name for the collection.
const DefaultCollection = "carryon_records"

// Options configures a [Store]. The zero value is ready to use.
type Options struct {
	// MajorityReads uses the read concern "majority" instead of
	// "linearizable". It is faster, and also works on a standalone server and
	// on services without linearizable reads. The drawback: for about ten
	// seconds after a failover, replicas that still reach the old primary may
	// see a session after its logout.
	MajorityReads bool

	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time
}

// Store is a [fallback.Store] in a collection. It is also a
// [fallback.Counter], [fallback.Clearer] and [fallback.Checker]. After
// [Store.Migrate], MongoDB removes expired records itself.
type Store struct {
	one  *mongo.Collection // for reads of one record, and for all writes
	many *mongo.Collection // for reads of many records
	opt  Options
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// New returns a store over a collection. The caller disconnects the client.
// New does not contact the server; [Store.Migrate] creates the index.
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

// withConcern overrides all settings of the collection that could weaken a
// call or change the form of a document.
func withConcern(collection *mongo.Collection, read *readconcern.ReadConcern) *mongo.Collection {
	journaled := true
	return collection.Clone(options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(read).
		SetReadPreference(readpref.Primary()).
		SetRegistry(bson.NewRegistry()).
		SetBSONOptions(&options.BSONOptions{}))
}

// withoutSession removes a MongoDB session from a context. Otherwise the call
// would be part of a transaction that the program may abort.
func withoutSession(ctx context.Context) context.Context { return mongo.NewSessionContext(ctx, nil) }

// Load implements [fallback.Store] with one find.
func (s *Store) Load(ctx context.Context, id string) (fallback.Record, error) {
	if err := fallback.CheckID(id); err != nil {
		return fallback.Record{}, err
	}
	doc, err := s.one.FindOne(withoutSession(ctx), byID(id)).Raw()
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

// Save implements [fallback.Store] with one insert or update. A new record
// over an expired one takes two calls, and a conflict one more find.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	save := s.update
	if old.IsZero() {
		save = s.create
	}
	done, err := save(withoutSession(ctx), id, old, new)
	if err != nil {
		return fail(ctx, "save a record", err)
	}
	if !done {
		return fallback.ErrConflict
	}
	return nil
}

// update replaces the record at the revision old.
func (s *Store) update(ctx context.Context, id string, old fallback.Revision, new fallback.Record) (bool, error) {
	done, err := s.replace(ctx, atRevision(id, old, s.opt.Clock()), new)
	if done || err != nil {
		return done, err
	}
	// If an earlier attempt succeeded and its answer was lost, the record has
	// the new revision.
	rec, err := s.head(ctx, id)
	return s.live(rec) && rec.Revision == new.Revision, err
}

// tries is how often a record is created if the existing one has disappeared
// before it could be read. More than one retry means that the record was
// deleted at that moment.
const tries = 4

// create stores a record if there is none or only an expired one.
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

// replace replaces the document that matches the filter.
func (s *Store) replace(ctx context.Context, filter bson.D, rec fallback.Record) (bool, error) {
	result, err := s.one.ReplaceOne(ctx, filter, pack(rec))
	return err == nil && result.MatchedCount > 0, err
}

// head reads a record without its data. It returns the zero Record if there is
// none.
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

// Touch implements [fallback.Store] with one update, and one find if the
// update matches nothing.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	set := bson.D{{Key: "$set", Value: bson.D{{Key: fieldExpires, Value: date(expires)}}}}
	result, err := s.one.UpdateOne(withoutSession(ctx), live(id, s.opt.Clock()), set)
	if err == nil && result.MatchedCount == 0 {
		// A document of another program is an error, not a missing record.
		if _, err = s.head(withoutSession(ctx), id); err == nil {
			return fallback.ErrNotFound
		}
	}
	return fail(ctx, "touch a record", err)
}

// Delete implements [fallback.Store] with one delete.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	_, err := s.one.DeleteOne(withoutSession(ctx), byID(id))
	return fail(ctx, "delete a record", err)
}

// Len implements [fallback.Counter] with one aggregation, which reads the
// index.
func (s *Store) Len(ctx context.Context) (int, error) {
	n, err := s.many.CountDocuments(withoutSession(ctx), unexpired(s.opt.Clock()))
	return int(n), fail(ctx, "count the records", err)
}

// Clear implements [fallback.Clearer]. It removes all documents of the
// collection, including those of other programs.
func (s *Store) Clear(ctx context.Context) error {
	_, err := s.many.DeleteMany(withoutSession(ctx), bson.D{})
	return fail(ctx, "clear the records", err)
}

// live reports whether a record exists and has not expired.
func (s *Store) live(rec fallback.Record) bool {
	return !rec.Revision.IsZero() && rec.Expires.UnixMilli() > s.opt.Clock().UnixMilli()
}
