package mongostore_test

import (
	"errors"
	"fmt"
	"sync"
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

func TestMigrateMayBeRepeated(t *testing.T) {
	_, collection, store := own(t)
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { errs[i] = store.Migrate(t.Context()) })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, store.Migrate(t.Context()))
	specs, err := collection.Indexes().ListSpecifications(t.Context())
	require.NoError(t, err)
	require.Len(t, specs, 2)
	require.Equal(t, mongostore.IndexName, specs[1].Name)
	require.Equal(t, int32(60), *specs[1].ExpireAfterSeconds)
	require.Equal(t, `{"expires": {"$numberInt":"1"}}`, specs[1].KeysDocument.String())
}

func TestMigrateMeetsAnotherIndex(t *testing.T) {
	for name, model := range map[string]mongo.IndexModel{
		"of connect-mongo": {Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetName("expires_1").SetExpireAfterSeconds(0)},
		"another grace":    {Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetName(mongostore.IndexName).SetExpireAfterSeconds(0)},
		"another field":    {Keys: bson.D{{Key: "created", Value: 1}}, Options: options.Index().SetName(mongostore.IndexName)},
	} {
		t.Run(name, func(t *testing.T) {
			_, collection, store := own(t)
			_, err := collection.Indexes().CreateOne(t.Context(), model)
			require.NoError(t, err)
			err = store.Migrate(t.Context())
			require.EqualError(t, err, "mongostore: cannot create the index: the collection has another index on the field expires, "+
				"or one of the name carryon_expires, with other options (connect-mongo makes one); "+
				"give the store a collection of its own, or drop that index")
		})
	}
}

// The server removes a record one minute after its expiry by its own clock,
// and no record that a replica with a slow clock may still use.
func TestServerRemovesWhatHasExpired(t *testing.T) {
	clock := fallbacktest.NewClock()
	server := startServer(t, mongotest.Options{Clock: clock.Now})
	collection := connect(t, server.URI()).Database("app").Collection("records")
	behind := newStore(t, collection, mongostore.Options{Clock: func() time.Time { return clock.Now().Add(-59 * time.Second) }})
	require.NoError(t, behind.Migrate(t.Context()))
	expires := clock.Now().Add(time.Hour)
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: expires}
	for _, id := range []string{"stays", "goes"} {
		require.NoError(t, behind.Save(t.Context(), id, fallback.Revision{}, rec))
	}
	require.NoError(t, behind.Touch(t.Context(), "stays", expires.Add(time.Hour)))

	clock.Advance(time.Hour + 58*time.Second)
	require.Zero(t, server.Expire())
	_, err := behind.Load(t.Context(), "goes")
	require.NoError(t, err)
	clock.Advance(2 * time.Second)
	require.Equal(t, 1, server.Expire())
	_, err = behind.Load(t.Context(), "goes")
	require.ErrorIs(t, err, fallback.ErrNotFound)
	_, err = behind.Load(t.Context(), "stays")
	require.NoError(t, err)
}

func TestSchemaQuotes(t *testing.T) {
	require.Contains(t, mongostore.Schema(`a"); db.dropDatabase(); ("`), `db.getCollection("a\"); db.dropDatabase(); (\"").createIndex(`)
}

func ExampleSchema() {
	fmt.Print(mongostore.Schema(""))
	// Output:
	// db.getCollection("carryon_records").createIndex({ expires: 1 }, { name: "carryon_expires", expireAfterSeconds: 60 })
}
