package mongostore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/mongostore"
	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

// found returns the findings of a Check, and fails the test for any other
// error.
func found(t *testing.T, store *mongostore.Store) string {
	t.Helper()
	err := store.Check(t.Context())
	if err == nil {
		return ""
	}
	var check *fallback.CheckError
	require.ErrorAs(t, err, &check)
	return err.Error()
}

func TestCheck(t *testing.T) {
	_, _, store := own(t)
	require.Contains(t, found(t, store), "index carryon_expires is missing", "no Migrate has run")
	require.NoError(t, store.Migrate(t.Context()))
	require.Empty(t, found(t, store))
	n, err := store.Len(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "it leaves nothing")
}

func TestCheckFindsIndexes(t *testing.T) {
	_, collection, store := own(t)
	_, err := collection.Indexes().CreateOne(t.Context(), mongo.IndexModel{
		Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetName("expires_1").SetExpireAfterSeconds(0)})
	require.NoError(t, err)
	text := found(t, store)
	require.Contains(t, text, "index expires_1 is expireAfterSeconds 0")
	require.Contains(t, text, "index carryon_expires is missing")
}

// answer replaces the server's answer to a command.
func answer(server *mongotest.Server, command string, documents ...any) {
	server.Inject(command, mongotest.Fault{Reply: bson.D{{Key: "ok", Value: 1.0}, {Key: "cursor", Value: bson.D{
		{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.records"}, {Key: "firstBatch", Value: bson.A(documents)}}}}})
}

func TestCheckFindsSettings(t *testing.T) {
	server, _, store := own(t)
	require.NoError(t, store.Migrate(t.Context()))
	answer(server, "listCollections", bson.D{{Key: "name", Value: "records"}, {Key: "type", Value: "collection"},
		{Key: "options", Value: bson.D{{Key: "capped", Value: true}}}})
	require.Contains(t, found(t, store), "capped is true")

	answer(server, "listIndexes", bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "tag", Value: 1}}},
		{Key: "name", Value: "tag_1"}, {Key: "unique", Value: true}})
	require.Contains(t, found(t, store), "index tag_1 is unique")

	server.Inject("buildInfo", mongotest.Fault{Reply: bson.D{{Key: "ok", Value: 1.0}, {Key: "version", Value: "7.0.42"},
		{Key: "ferretdbVersion", Value: "v1.24.2"}}})
	require.Contains(t, found(t, store), "FerretDB v1.24.2: server is FerretDB 1: two concurrent writers")

	server.Inject("buildInfo", mongotest.Fault{Reply: bson.D{{Key: "ok", Value: 1.0}, {Key: "version", Value: "3.6.23"}}})
	require.Contains(t, found(t, store), "version is 3.6.23")
}

func TestCheckAsksForTheConcerns(t *testing.T) {
	alone := startServer(t, mongotest.Options{Standalone: true})
	collection := connect(t, alone.URI()).Database("app").Collection("records")
	strict := newStore(t, collection, mongostore.Options{})
	require.NoError(t, strict.Migrate(t.Context()))
	require.Contains(t, found(t, strict), "readConcern is linearizable")
	require.Empty(t, found(t, newStore(t, collection, mongostore.Options{MajorityReads: true})))

	server, _, store := own(t)
	require.NoError(t, store.Migrate(t.Context()))
	server.Inject("delete", mongotest.Fault{After: true, Reply: bson.D{{Key: "ok", Value: 1.0}, {Key: "n", Value: 0},
		{Key: "writeConcernError", Value: bson.D{{Key: "code", Value: 100}, {Key: "errmsg", Value: "Not enough data-bearing nodes"}}}}})
	err := store.Check(t.Context())
	require.ErrorContains(t, err, "it may not have reached a majority")
	require.False(t, errors.As(err, new(*fallback.CheckError)), "a store that cannot write is down")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.Check(ctx), context.Canceled)
}

// A role with readWrite on the database may call Check. With a smaller role,
// Check reports the missing right.
func TestCheckSaysWhatItMayNot(t *testing.T) {
	server, _, store := own(t)
	server.Inject("listIndexes", mongotest.Fault{Reply: mongotest.ErrorReply(13, "Unauthorized", "not authorized on app")})
	require.ErrorContains(t, store.Check(t.Context()), "not authorized")
}

// A role that may not create indexes suffices if the index exists.
func TestMigrateNeedsNoRightsWhereTheIndexIs(t *testing.T) {
	server, _, store := own(t)
	denied := mongotest.Fault{Reply: mongotest.ErrorReply(13, "Unauthorized", "not authorized on app")}
	server.Inject("createIndexes", denied)
	require.ErrorContains(t, store.Migrate(t.Context()), "not authorized")
	require.NoError(t, store.Migrate(t.Context()))
	server.Inject("createIndexes", denied)
	require.NoError(t, store.Migrate(t.Context()))
	server.Inject("createIndexes", denied)
	server.Inject("listIndexes", denied)
	require.ErrorContains(t, store.Migrate(t.Context()), "not authorized")
}
