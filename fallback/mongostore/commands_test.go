package mongostore_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/mongostore"
	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

var (
	reflectBinary = reflect.TypeFor[bson.Binary]()
	reflectInt64  = reflect.TypeFor[int64]()
)

// nothing is an encoder that a program could have registered and that writes
// something else.
func nothing(_ bson.EncodeContext, w bson.ValueWriter, _ reflect.Value) error {
	return w.WriteString("nothing")
}

// weak returns client options that are unsuitable for sessions.
func weak(o *options.ClientOptions) {
	registry := bson.NewRegistry()
	registry.RegisterTypeEncoder(reflectBinary, bson.ValueEncoderFunc(nothing))
	registry.RegisterTypeEncoder(reflectInt64, bson.ValueEncoderFunc(nothing))
	o.SetWriteConcern(writeconcern.Unacknowledged()).SetReadConcern(readconcern.Available()).
		SetReadPreference(readpref.SecondaryPreferred()).SetRegistry(registry).
		SetBSONOptions(&options.BSONOptions{IntMinSize: true, OmitEmpty: true})
}

// sent returns the commands of the last call, one per line, without the fields
// that the driver adds.
func sent(server *mongotest.Server) (lines []string) {
	for _, c := range server.Commands() {
		var doc, kept bson.D
		if err := bson.Unmarshal(c.Doc, &doc); err != nil {
			return []string{err.Error()}
		}
		for _, e := range doc {
			switch e.Key {
			case "lsid", "txnNumber", "$db", "maxTimeMS":
			default:
				kept = append(kept, e)
			}
		}
		text, err := bson.MarshalExtJSON(kept, true, false)
		if err != nil {
			return []string{err.Error()}
		}
		lines = append(lines, string(text))
	}
	return lines
}

const (
	idJSON    = `"_id":{"$binary":{"base64":"aWQ=","subType":"00"}}`
	oneJSON   = `"number":{"$numberLong":"1"},"tag":{"$binary":{"base64":"AQAAAAAAAAAAAAAAAAAAAA==","subType":"00"}}`
	twoJSON   = `"number":{"$numberLong":"2"},"tag":{"$binary":{"base64":"AgAAAAAAAAAAAAAAAAAAAA==","subType":"00"}}`
	dataJSON  = `"data":{"$binary":{"base64":"c2VhbGVk","subType":"00"}},"expires":{"$date":{"$numberLong":"2000000000123"}}`
	liveJSON  = `"expires":{"$gt":{"$date":{"$numberLong":"1000000000000"}}}`
	goneJSON  = `"expires":{"$lte":{"$date":{"$numberLong":"1000000000000"}}}`
	writeJSON = `"writeConcern":{"w":"majority","j":true}`
	readJSON  = `"readConcern":{"level":"linearizable"}`
	findJSON  = `{"find":"records","filter":{` + idJSON + `},"limit":{"$numberLong":"1"},`
	headJSON  = findJSON + `"projection":{"number":{"$numberInt":"1"},"tag":{"$numberInt":"1"},"expires":{"$numberInt":"1"}},` +
		`"singleBatch":true,` + readJSON + `}`
)

// Every command matches the documentation exactly, except for the order of
// options, whatever the program has configured.
func TestCommands(t *testing.T) {
	server := startServer(t, mongotest.Options{})
	client := connect(t, server.URI(), weak)
	now := time.UnixMilli(1_000_000_000_000).Add(999 * time.Microsecond)
	store := newStore(t, client.Database("app").Collection("records"), mongostore.Options{Clock: func() time.Time { return now }})
	expires := time.UnixMilli(2_000_000_000_123).Add(999 * time.Microsecond)
	one := fallback.Record{Revision: fallback.Revision{Number: 1, Tag: [16]byte{1}}, Data: []byte("sealed"), Expires: expires}
	two := fallback.Record{Revision: fallback.Revision{Number: 2, Tag: [16]byte{2}}, Data: []byte("sealed"), Expires: expires}
	none := fallback.Revision{}

	insert := `{"insert":"records","ordered":true,` + writeJSON + `,"documents":[{` + idJSON + `,` + oneJSON + `,` + dataJSON + `}]}`
	update := `{"update":"records","ordered":true,` + writeJSON + `,"updates":[{"q":{` + idJSON + `,` + liveJSON + `,` + oneJSON +
		`},"u":{` + twoJSON + `,` + dataJSON + `}}]}`
	over := `{"update":"records","ordered":true,` + writeJSON + `,"updates":[{"q":{` + idJSON + `,` + goneJSON +
		`},"u":{` + oneJSON + `,` + dataJSON + `}}]}`
	touch := `{"update":"records","ordered":true,` + writeJSON + `,"updates":[{"q":{` + idJSON + `,` + liveJSON +
		`},"u":{"$set":{"expires":{"$date":{"$numberLong":"2000000000123"}}}}}]}`

	ctx := t.Context()
	for _, call := range []struct {
		name string
		call func() error
		err  error
		sent []string
	}{
		{"load nothing", func() error { _, err := store.Load(ctx, "id"); return err }, fallback.ErrNotFound,
			[]string{findJSON + `"singleBatch":true,` + readJSON + `}`}},
		{"create", func() error { return store.Save(ctx, "id", none, one) }, nil, []string{insert}},
		{"create again", func() error { return store.Save(ctx, "id", none, one) }, nil, []string{insert, over, headJSON}},
		{"save", func() error { return store.Save(ctx, "id", one.Revision, two) }, nil, []string{update}},
		{"save again", func() error { return store.Save(ctx, "id", one.Revision, two) }, nil, []string{update, headJSON}},
		{"create over", func() error { return store.Save(ctx, "id", none, one) }, fallback.ErrConflict, []string{insert, over, headJSON}},
		{"touch", func() error { return store.Touch(ctx, "id", expires) }, nil, []string{touch}},
		{"delete", func() error { return store.Delete(ctx, "id") }, nil, []string{
			`{"delete":"records","ordered":true,` + writeJSON + `,"deletes":[{"q":{` + idJSON + `},"limit":{"$numberInt":"1"}}]}`}},
		{"touch nothing", func() error { return store.Touch(ctx, "id", expires) }, fallback.ErrNotFound, []string{touch, headJSON}},
		{"count", func() error { _, err := store.Len(ctx); return err }, nil, []string{
			`{"aggregate":"records","pipeline":[{"$match":{` + liveJSON + `}},{"$group":{"_id":{"$numberInt":"1"},"n":{"$sum":{"$numberInt":"1"}}}}],` +
				`"cursor":{},"readConcern":{"level":"majority"}}`}},
		{"clear", func() error { return store.Clear(ctx) }, nil, []string{
			`{"delete":"records","ordered":true,` + writeJSON + `,"deletes":[{"q":{},"limit":{"$numberInt":"0"}}]}`}},
		{"migrate", func() error { return store.Migrate(ctx) }, nil, []string{
			`{"createIndexes":"records","indexes":[{"key":{"expires":{"$numberInt":"1"}},"expireAfterSeconds":{"$numberInt":"60"},` +
				`"name":"carryon_expires"}],` + writeJSON + `}`}},
	} {
		require.ErrorIs(t, call.call(), call.err, call.name)
		got := sent(server)
		require.Len(t, got, len(call.sent), "%s: %s", call.name, got)
		for i := range got {
			require.JSONEq(t, call.sent[i], got[i], call.name)
		}
	}
}

func TestMajorityReads(t *testing.T) {
	server := startServer(t, mongotest.Options{Standalone: true})
	collection := connect(t, server.URI(), weak).Database("app").Collection("records")
	store := newStore(t, collection, mongostore.Options{MajorityReads: true})
	_, err := store.Load(t.Context(), "id")
	require.ErrorIs(t, err, fallback.ErrNotFound)
	require.Equal(t, []string{findJSON + `"singleBatch":true,"readConcern":{"level":"majority"}}`}, sent(server))

	_, err = newStore(t, collection, mongostore.Options{}).Load(t.Context(), "id")
	require.ErrorContains(t, err, "set Options.MajorityReads")
	require.NotErrorIs(t, err, fallback.ErrNotFound)
}

// A handler may abort its own transaction. That must not undo writes of the
// store.
func TestTransactionsOfTheProgram(t *testing.T) {
	server, collection, store := own(t)
	session, err := collection.Database().Client().StartSession()
	require.NoError(t, err)
	defer session.EndSession(context.Background())
	require.NoError(t, session.StartTransaction())
	ctx := mongo.NewSessionContext(t.Context(), session)

	rec := record(fallback.Revision{}, "one")
	require.NoError(t, store.Migrate(ctx))
	require.NoError(t, store.Save(ctx, "id", fallback.Revision{}, rec))
	require.NoError(t, store.Save(ctx, "id", rec.Revision, record(rec.Revision, "two")))
	require.NoError(t, store.Touch(ctx, "id", rec.Expires))
	_, err = store.Load(ctx, "id")
	require.NoError(t, err)
	_, err = store.Len(ctx)
	require.NoError(t, err)
	for _, c := range server.Commands() {
		require.NotEqual(t, session.ID(), c.Doc.Lookup("lsid").Document(), c.Name)
		require.True(t, c.Doc.Lookup("autocommit").IsZero(), c.Name)
	}
	require.NoError(t, session.AbortTransaction(t.Context()))
	got, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, "two", string(got.Data))
	require.NoError(t, store.Delete(ctx, "id"))
	require.NoError(t, store.Clear(ctx))
}

func TestNewRefuses(t *testing.T) {
	_, err := mongostore.New(nil, mongostore.Options{})
	require.ErrorContains(t, err, "no collection")
}
