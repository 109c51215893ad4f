package mongostore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// IndexName is the name of the index with which MongoDB removes expired
	// records.
	IndexName = "carryon_expires"

	// grace is how many seconds a document outlives its record, for replicas
	// whose clocks are behind the server's.
	grace = 60
)

var errIndex = errors.New("the collection has another index on the field expires, or one of the name " + IndexName +
	", with other options (connect-mongo makes one); give the store a collection of its own, or drop that index")

// Migrate creates the collection and its index if they do not exist. Any
// number of replicas may call it at startup. It needs the right to create
// indexes or, if the index exists, to list them; see [Schema].
func (s *Store) Migrate(ctx context.Context) error {
	_, err := s.many.Indexes().CreateOne(withoutSession(ctx), mongo.IndexModel{
		Keys:    bson.D{{Key: fieldExpires, Value: 1}},
		Options: options.Index().SetName(IndexName).SetExpireAfterSeconds(grace),
	})
	var server mongo.ServerError
	if errors.As(err, &server) && server.HasErrorCode(codeUnauthorized) && s.hasIndex(ctx) {
		return nil
	}
	return fail(ctx, "create the index", err)
}

// hasIndex reports whether the index exists, for a program that may not create
// it.
func (s *Store) hasIndex(ctx context.Context) bool {
	indexes, err := s.many.Indexes().ListSpecifications(withoutSession(ctx))
	return err == nil && len(checkIndexes(indexes)) == 0
}

// Schema returns the mongosh command that creates the index, if you prefer to
// run it by hand. The command can be repeated. An empty collection means
// [DefaultCollection].
func Schema(collection string) string {
	if collection == "" {
		collection = DefaultCollection
	}
	quoted, _ := json.Marshal(collection) // marshalling a string cannot fail
	return fmt.Sprintf("db.getCollection(%s).createIndex({ %s: 1 }, { name: %q, expireAfterSeconds: %d })\n",
		quoted, fieldExpires, IndexName, grace)
}
