package mongostore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/mongostore"
	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

// startServer starts a test server, which ends with the test.
func startServer(t testing.TB, o mongotest.Options) *mongotest.Server {
	t.Helper()
	server, err := mongotest.Start(o)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

func connect(t testing.TB, uri string, change ...func(*options.ClientOptions)) *mongo.Client {
	t.Helper()
	o := options.Client().ApplyURI(uri)
	for _, f := range change {
		f(o)
	}
	client, err := mongo.Connect(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) }) // a test may have disconnected already
	return client
}

func newStore(t testing.TB, collection *mongo.Collection, o mongostore.Options) *mongostore.Store {
	t.Helper()
	store, err := mongostore.New(collection, o)
	require.NoError(t, err)
	return store
}

// own starts a server and returns it with a collection and a store.
func own(t testing.TB) (*mongotest.Server, *mongo.Collection, *mongostore.Store) {
	t.Helper()
	server := startServer(t, mongotest.Options{})
	collection := connect(t, server.URI()).Database("app").Collection("records")
	return server, collection, newStore(t, collection, mongostore.Options{})
}

// record returns a record that follows a revision.
func record(old fallback.Revision, data string) fallback.Record {
	return fallback.Record{Revision: old.Next(), Data: []byte(data), Expires: time.Now().Add(time.Hour)}
}

// migrate creates the index if the server supports TTL indexes. FerretDB 1
// does not; expired records are not returned there either.
func migrate(t *testing.T, store *mongostore.Store) {
	t.Helper()
	err := store.Migrate(t.Context())
	var server mongo.ServerError
	if errors.As(err, &server) && server.HasErrorCode(238) { // NotImplemented
		return
	}
	require.NoError(t, err)
}

// conform runs the suite in a database of the server with the given URI.
func conform(t *testing.T, uri, db string, o mongostore.Options, change ...func(*fallbacktest.Setup)) {
	t.Helper()
	fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
		client, clock, name := connect(t, uri), fallbacktest.NewClock(), "records_"+rand.Text()[:12]
		opt := o
		opt.Clock = clock.Now
		store := newStore(t, client.Database(db).Collection(name), opt)
		migrate(t, store)
		s := fallbacktest.Setup{
			Store: store, Other: newStore(t, connect(t, uri).Database(db).Collection(name), opt),
			Now: clock.Now, Advance: clock.Advance,
			Skewed: func(d time.Duration) fallback.Store {
				fast := opt
				fast.Clock = func() time.Time { return clock.Now().Add(d) }
				return newStore(t, client.Database(db).Collection(name), fast)
			},
			Break: func() { _ = client.Disconnect(context.Background()) },
		}
		for _, f := range change {
			f(&s)
		}
		return s
	})
}

func TestConformance(t *testing.T) {
	t.Run("replica set", func(t *testing.T) {
		t.Parallel()
		conform(t, startServer(t, mongotest.Options{}).URI(), "app", mongostore.Options{})
	})
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		conform(t, startServer(t, mongotest.Options{Standalone: true}).URI(), "app", mongostore.Options{MajorityReads: true})
	})
}

// patient is a store whose calls do not end with their context.
type patient struct{ *mongostore.Store }

func (p patient) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.Store.Save(context.WithoutCancel(ctx), id, old, new)
}

func (p patient) Touch(ctx context.Context, id string, expires time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.Store.Touch(context.WithoutCancel(ctx), id, expires)
}

// FerretDB is another server with the same protocol. Version 1 replaces a
// document in two steps, so two writers can both win, and a cancelled write
// can lose the document. So the races and cancellations are skipped, and Check
// must report the problem.
func TestConformanceOverFerretDB(t *testing.T) {
	uri := os.Getenv("CARRYON_TEST_FERRETDB")
	if uri == "" {
		const what = "CARRYON_TEST_FERRETDB names no FerretDB 1"
		if os.Getenv("CI") == "true" {
			t.Fatal(what + "; it is required in CI")
		}
		t.Skip(what)
	}
	client, db := connect(t, uri), "carryon_test_"+rand.Text()[:12]
	t.Cleanup(func() { _ = client.Database(db).Drop(context.Background()) })
	store := newStore(t, client.Database(db).Collection("checked"), mongostore.Options{MajorityReads: true})
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one")))
	text := found(t, store)
	require.Contains(t, text, "both be told that they won")
	require.Contains(t, text, "index carryon_expires is missing")
	conform(t, uri, db, mongostore.Options{MajorityReads: true}, func(s *fallbacktest.Setup) {
		s.DangerouslyLastWriterWins = true
		s.Store, s.Other = patient{s.Store.(*mongostore.Store)}, patient{s.Other.(*mongostore.Store)}
	})
}

// If you have a MongoDB, you can run the suite against it.
func TestConformanceOfARealMongoDB(t *testing.T) {
	uri := os.Getenv("MONGODB_URI")
	if uri == "" {
		t.Skip("MONGODB_URI names no MongoDB; what ran is the suite against the tests' own server")
	}
	client, db := connect(t, uri), "carryon_test_"+rand.Text()[:12]
	t.Cleanup(func() { _ = client.Database(db).Drop(context.Background()) })
	var hello bson.M
	require.NoError(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&hello))
	alone := hello["setName"] == nil && hello["msg"] != "isdbgrid" // the latter is a mongos router
	if !alone {
		t.Run("linearizable", func(t *testing.T) { conform(t, uri, db, mongostore.Options{}) })
	}
	t.Run("majority", func(t *testing.T) { conform(t, uri, db, mongostore.Options{MajorityReads: true}) })
}
