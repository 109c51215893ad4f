package mongostore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/mongostore"
	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

// The stored form matches the documentation, before and after a touch.
func TestStoredForm(t *testing.T) {
	server, collection, _ := own(t)
	store := newStore(t, collection, mongostore.Options{Clock: func() time.Time { return time.UnixMilli(1) }})
	rec := fallback.Record{Revision: fallback.Revision{Number: 0x0102030405060708, Tag: [16]byte{0xaa, 15: 0xbb}},
		Data: []byte("sealed\x00"), Expires: time.UnixMilli(2_000_000_000_123).Add(999 * time.Microsecond)}
	require.NoError(t, store.Save(t.Context(), "i\x00\xff", fallback.Revision{}, rec))

	want := func(expires bson.DateTime) bson.D {
		return bson.D{
			{Key: "_id", Value: bson.Binary{Data: []byte("i\x00\xff")}},
			{Key: "number", Value: int64(0x0102030405060708)},
			{Key: "tag", Value: bson.Binary{Data: rec.Revision.Tag[:]}},
			{Key: "data", Value: bson.Binary{Data: []byte("sealed\x00")}},
			{Key: "expires", Value: expires},
		}
	}
	stored := func() (doc bson.D) {
		docs := server.Docs("app.records")
		require.Len(t, docs, 1)
		require.NoError(t, bson.Unmarshal(docs[0], &doc))
		return doc
	}
	require.Equal(t, want(2_000_000_000_123), stored())
	require.NoError(t, store.Touch(t.Context(), "i\x00\xff", time.UnixMilli(2_100_000_000_000)))
	require.Equal(t, want(2_100_000_000_000), stored())
}

// A document of another program is neither read nor overwritten, and is not
// reported as a missing record.
func TestForeignDocuments(t *testing.T) {
	id := bson.E{Key: "_id", Value: bson.Binary{Data: []byte("id")}}
	number := bson.E{Key: "number", Value: int64(1)}
	tag := bson.E{Key: "tag", Value: bson.Binary{Data: make([]byte, 16)}}
	data := bson.E{Key: "data", Value: bson.Binary{Data: []byte("x")}}
	expires := bson.E{Key: "expires", Value: bson.NewDateTimeFromTime(time.Now().Add(time.Hour))}
	for name, doc := range map[string]bson.D{
		"empty":               {id},
		"of connect-mongo":    {id, expires, {Key: "session", Value: "{}"}},
		"number of 32 bits":   {id, {Key: "number", Value: int32(1)}, tag, data, expires},
		"number 0":            {id, {Key: "number", Value: int64(0)}, tag, data, expires},
		"tag too short":       {id, number, {Key: "tag", Value: bson.Binary{Data: make([]byte, 15)}}, data, expires},
		"tag of another kind": {id, number, {Key: "tag", Value: bson.Binary{Subtype: bson.TypeBinaryUUID, Data: make([]byte, 16)}}, data, expires},
		"tag as text":         {id, number, {Key: "tag", Value: "0123456789abcdef"}, data, expires},
		"expires as a number": {id, number, tag, data, {Key: "expires", Value: int64(1)}},
		"expires as text":     {id, number, tag, data, {Key: "expires", Value: "never"}},
	} {
		t.Run(name, func(t *testing.T) {
			server, collection, store := own(t)
			_, err := collection.InsertOne(t.Context(), doc)
			require.NoError(t, err)
			before := server.Docs("app.records")
			rec := record(fallback.Revision{}, "mine")
			_, loaded := store.Load(t.Context(), "id")
			errs := []error{loaded, store.Save(t.Context(), "id", fallback.Revision{}, rec),
				store.Save(t.Context(), "id", fallback.Revision{}.Next(), rec)}
			if name != "of connect-mongo" && doc[len(doc)-1] != expires { // a document with a date can be touched
				errs = append(errs, store.Touch(t.Context(), "id", rec.Expires))
			}
			for _, err := range errs {
				require.ErrorContains(t, err, "a collection of its own")
				require.NotErrorIs(t, err, fallback.ErrNotFound)
				require.NotErrorIs(t, err, fallback.ErrConflict)
			}
			require.Equal(t, before, server.Docs("app.records"))
		})
	}
}

func TestForeignData(t *testing.T) {
	_, collection, store := own(t)
	rec := record(fallback.Revision{}, "one")
	for _, data := range []any{"text", nil, bson.Binary{Subtype: 6, Data: []byte("encrypted")}, bson.Binary{Data: make([]byte, fallback.MaxRecord+1)}} {
		require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))
		_, err := collection.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: bson.Binary{Data: []byte("id")}}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: data}}}})
		require.NoError(t, err)
		_, err = store.Load(t.Context(), "id")
		require.ErrorContains(t, err, "a collection of its own")
		require.NoError(t, store.Delete(t.Context(), "id"))
	}
}

// Documents of other programs are not counted unless they look like a record,
// and their ids of any type do not match.
func TestNeighbours(t *testing.T) {
	server, collection, store := own(t)
	for _, id := range []any{"id", bson.NewObjectID(), bson.Binary{Subtype: bson.TypeBinaryUUID, Data: []byte("id")}} {
		_, err := collection.InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "expires", Value: "never"}})
		require.NoError(t, err)
	}
	_, err := store.Load(t.Context(), "id")
	require.ErrorIs(t, err, fallback.ErrNotFound)
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one")))
	n, err := store.Len(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, store.Delete(t.Context(), "id"))
	require.Len(t, server.Docs("app.records"), 3)
}

// The server may have a smaller limit than this package.
func TestTooLargeForTheServer(t *testing.T) {
	server, _, store := own(t)
	refused := bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 0}, {Key: "writeErrors", Value: bson.A{
		bson.D{{Key: "index", Value: 0}, {Key: "code", Value: 10334}, {Key: "errmsg", Value: "object to insert too large"}}}}}
	server.Inject("insert", mongotest.Fault{Reply: refused})
	require.ErrorIs(t, store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one")), fallback.ErrTooLarge)
}
