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
	// IndexName is the name of the index by which MongoDB removes what has
	// expired.
	IndexName = "carryon_expires"

	// grace is how many seconds a document outlives its record, for replicas
	// whose clocks are behind the server's.
	grace = 60
)

var errIndex = errors.New("the collection has another index on the field expires, or one of the name " + IndexName +
	", with other options (connect-mongo makes one); give the store a collection of its own, or drop that index")

// Migrate makes the collection and its index if they are not there. Any number
// of replicas may call it when they start. It needs the right to create
// indexes, or, where the index is there already, the right to list them; see
// [Schema].
func (s *Store) Migrate(ctx context.Context) error {
	_, err := s.many.Indexes().CreateOne(alone(ctx), mongo.IndexModel{
		Keys:    bson.D{{Key: fieldExpires, Value: 1}},
		Options: options.Index().SetName(IndexName).SetExpireAfterSeconds(grace),
	})
	var server mongo.ServerError
	if errors.As(err, &server) && server.HasErrorCode(codeUnauthorized) && s.hasIndex(ctx) {
		return nil
	}
	return fail(ctx, "create the index", err)
}

// hasIndex reports whether the index is there, for a program that may not
// create it.
func (s *Store) hasIndex(ctx context.Context) bool {
	indexes, err := s.many.Indexes().ListSpecifications(alone(ctx))
	return err == nil && len(checkIndexes(indexes)) == 0
}

// Schema gives the command for mongosh that makes the index, for who prefers to
// run it by hand. It does nothing if it was run before. The collection may be
// empty, which means [DefaultCollection].
func Schema(collection string) string {
	if collection == "" {
		collection = DefaultCollection
	}
	quoted, _ := json.Marshal(collection) // a string: it cannot fail
	return fmt.Sprintf("db.getCollection(%s).createIndex({ %s: 1 }, { name: %q, expireAfterSeconds: %d })\n",
		quoted, fieldExpires, IndexName, grace)
}
