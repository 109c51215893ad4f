package mongotest_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

func connect(t *testing.T, o mongotest.Options) (*mongotest.Server, *mongo.Collection) {
	t.Helper()
	server, err := mongotest.Start(o)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	client, err := mongo.Connect(options.Client().ApplyURI(server.URI()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return server, client.Database("app").Collection("c")
}

func text(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// Anything that the server does not support is an error, so that a test cannot
// pass because something was ignored.
func TestServerIsStrict(t *testing.T) {
	_, c := connect(t, mongotest.Options{})
	ctx := t.Context()
	one := text("one")
	_, err := c.InsertOne(ctx, one)
	require.NoError(t, err)
	set := bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}}
	for name, call := range map[string]func() error{
		"command": func() error { return c.Drop(ctx) },
		"field":   func() error { return c.FindOne(ctx, one, options.FindOne().SetSkip(1)).Err() },
		"hint":    func() error { return c.FindOne(ctx, one, options.FindOne().SetHint("x")).Err() },
		"collation": func() error {
			_, err := c.DeleteOne(ctx, one, options.DeleteOne().SetCollation(&options.Collation{Locale: "de"}))
			return err
		},
		"find of many":         func() error { _, err := c.Find(ctx, one); return err },
		"operator in a filter": func() error { return c.FindOne(ctx, bson.D{{Key: "a", Value: bson.D{{Key: "$ne", Value: 1}}}}).Err() },
		"operator at the top":  func() error { return c.FindOne(ctx, bson.D{{Key: "$or", Value: bson.A{one}}}).Err() },
		"path":                 func() error { return c.FindOne(ctx, bson.D{{Key: "a.b", Value: 1}}).Err() },
		"null":                 func() error { return c.FindOne(ctx, bson.D{{Key: "a", Value: nil}}).Err() },
		"expression": func() error {
			return c.FindOne(ctx, one, options.FindOne().SetProjection(bson.D{{Key: "a", Value: "$b"}})).Err()
		},
		"exclusion": func() error {
			return c.FindOne(ctx, one, options.FindOne().SetProjection(bson.D{{Key: "a", Value: 0}})).Err()
		},
		"update operator": func() error {
			_, err := c.UpdateOne(ctx, one, bson.D{{Key: "$inc", Value: bson.D{{Key: "a", Value: 1}}}})
			return err
		},
		"two update operators": func() error {
			_, err := c.UpdateOne(ctx, one, append(set, bson.E{Key: "$inc", Value: bson.D{}}))
			return err
		},
		"pipeline": func() error { _, err := c.UpdateOne(ctx, one, mongo.Pipeline{set}); return err },
		"upsert": func() error {
			_, err := c.UpdateOne(ctx, text("two"), set, options.UpdateOne().SetUpsert(true))
			return err
		},
		"update of many":       func() error { _, err := c.UpdateMany(ctx, one, set); return err },
		"another _id":          func() error { _, err := c.ReplaceOne(ctx, one, text("two")); return err },
		"insert of many":       func() error { _, err := c.InsertMany(ctx, []any{text("two"), text("three")}); return err },
		"_id that is a number": func() error { _, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: 1}}); return err },
		"path in a document": func() error {
			_, err := c.InsertOne(ctx, append(text("two"), bson.E{Key: "a.b", Value: 1}))
			return err
		},
		"aggregation": func() error { _, err := c.Aggregate(ctx, mongo.Pipeline{{{Key: "$match", Value: one}}}); return err },
		"index of two fields": func() error {
			return index(ctx, c, bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 1}}, options.Index())
		},
		"unique index":          func() error { return index(ctx, c, bson.D{{Key: "a", Value: 1}}, options.Index().SetUnique(true)) },
		"read from a secondary": func() error { return direct(ctx, t, c) },
		"three of them": func() error {
			_, err := c.Clone(options.Collection().SetWriteConcern(writeconcern.Custom("three"))).DeleteOne(ctx, one)
			return err
		},
		"transaction": func() error { return transact(ctx, c) },
	} {
		err := call()
		var refused mongo.ServerError
		require.ErrorAs(t, err, &refused, name)
	}
	n, err := c.CountDocuments(ctx, bson.D{})
	require.NoError(t, err)
	require.Equal(t, int64(1), n, "nothing was changed")
}

func index(ctx context.Context, c *mongo.Collection, keys bson.D, o *options.IndexOptionsBuilder) error {
	_, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys, Options: o})
	return err
}

// direct requests a read from a secondary.
func direct(ctx context.Context, t *testing.T, c *mongo.Collection) error {
	return c.Database().RunCommand(ctx, bson.D{{Key: "find", Value: c.Name()}, {Key: "filter", Value: bson.D{}}, {Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true}, {Key: "$readPreference", Value: bson.D{{Key: "mode", Value: readpref.SecondaryMode.String()}}}}).Err()
}

func transact(ctx context.Context, c *mongo.Collection) error {
	return c.Database().Client().UseSession(ctx, func(ctx context.Context) error {
		if err := mongo.SessionFromContext(ctx).StartTransaction(); err != nil {
			return nil
		}
		_, err := c.DeleteOne(ctx, text("one"))
		return err
	})
}

// As in MongoDB, a filter matches only values of its own type.
func TestKindsAreApart(t *testing.T) {
	_, c := connect(t, mongotest.Options{})
	for i, value := range []any{int32(5), int64(5), "5", bson.DateTime(5), bson.Binary{Data: []byte("5")}, bson.Binary{Subtype: 4, Data: []byte("5")}, nil} {
		_, err := c.InsertOne(t.Context(), append(text(fmt.Sprint(i)), bson.E{Key: "a", Value: value}))
		require.NoError(t, err)
	}
	for _, test := range []struct {
		condition any
		found     int64
	}{
		{5, 2}, {"5", 1}, {bson.DateTime(5), 1}, {bson.Binary{Data: []byte("5")}, 1},
		{bson.D{{Key: "$gt", Value: 4}}, 2}, {bson.D{{Key: "$gt", Value: 5}}, 0}, {bson.D{{Key: "$lte", Value: 5}}, 2},
		{bson.D{{Key: "$gt", Value: bson.DateTime(4)}}, 1}, {bson.D{{Key: "$lte", Value: bson.DateTime(4)}}, 0},
		{bson.D{{Key: "$gt", Value: 4}, {Key: "$lte", Value: 4}}, 0},
	} {
		n, err := c.CountDocuments(t.Context(), bson.D{{Key: "a", Value: test.condition}})
		require.NoError(t, err)
		require.Equal(t, test.found, n, test.condition)
	}
}

func TestSetKeepsTheRest(t *testing.T) {
	_, c := connect(t, mongotest.Options{})
	_, err := c.InsertOne(t.Context(), append(text("one"), bson.E{Key: "a", Value: "1"}, bson.E{Key: "b", Value: "2"}))
	require.NoError(t, err)
	result, err := c.UpdateOne(t.Context(), text("one"), bson.D{{Key: "$set", Value: bson.D{{Key: "c", Value: "4"}, {Key: "a", Value: "3"}}}})
	require.NoError(t, err)
	require.Equal(t, int64(1), result.ModifiedCount)
	var got bson.D
	require.NoError(t, c.FindOne(t.Context(), text("one")).Decode(&got))
	require.Equal(t, append(text("one"), bson.E{Key: "a", Value: "3"}, bson.E{Key: "b", Value: "2"}, bson.E{Key: "c", Value: "4"}), got)
	_, err = c.ReplaceOne(t.Context(), text("one"), bson.D{{Key: "d", Value: "5"}})
	require.NoError(t, err)
	got = nil
	require.NoError(t, c.FindOne(t.Context(), text("one")).Decode(&got))
	require.Equal(t, append(text("one"), bson.E{Key: "d", Value: "5"}), got)
}

// Of concurrent inserts of one _id, or updates at one state, exactly one
// succeeds.
func TestServerIsAtomic(t *testing.T) {
	_, c := connect(t, mongotest.Options{})
	var created, updated atomic.Int64
	all(func(i int) {
		_, err := c.InsertOne(t.Context(), append(text("one"), bson.E{Key: "state", Value: "new"}))
		if err == nil {
			created.Add(1)
		} else if !mongo.IsDuplicateKeyError(err) {
			t.Error(err)
		}
	})
	all(func(i int) {
		result, err := c.ReplaceOne(t.Context(), append(text("one"), bson.E{Key: "state", Value: "new"}),
			bson.D{{Key: "state", Value: fmt.Sprint(i)}})
		if err != nil {
			t.Error(err)
			return
		}
		updated.Add(result.MatchedCount)
	})
	require.Equal(t, int64(1), created.Load())
	require.Equal(t, int64(1), updated.Load())
}

func all(call func(i int)) {
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() { call(i) })
	}
	group.Wait()
}
