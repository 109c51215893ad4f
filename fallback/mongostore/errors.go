package mongostore

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/carryon-go/carryon/fallback"
)

var (
	// errForeign is for a document that some other program has written.
	errForeign = errors.New("the document is none of this package's; give the store a collection of its own")

	// errRefused is where MongoDB says that a key is taken, and nothing stands
	// under the id.
	errRefused = errors.New("an index refuses the record, and not that of _id; " +
		"drop unique indexes, and shard by nothing but _id")

	errAlone = errors.New("the server is no member of a replica set and cannot read linearizably; " +
		"start it with --replSet and call rs.initiate(), or set Options.MajorityReads")
)

// The codes that the server answers with.
const (
	codeUnauthorized  = 13
	codeIndexOptions  = 85 // IndexOptionsConflict
	codeIndexKeys     = 86 // IndexKeySpecsConflict
	codeNotReplicaSet = 123
	codeTooLarge      = 10334 // BSONObjectTooLarge
)

// refusal is a write that the server refused. The driver's text would have the
// key in it, or the whole document.
type refusal struct{ mongo.WriteException }

func (r refusal) Error() string {
	text := "the server refuses the write"
	for _, e := range r.WriteErrors {
		text += fmt.Sprintf(": code %d", e.Code)
	}
	if e := r.WriteConcernError; e != nil {
		text += fmt.Sprintf(": it may not have reached a majority: %s (code %d)", e.Message, e.Code)
	}
	return text
}

func (r refusal) Unwrap() error { return r.WriteException }

// fail says what could not be done. A call's own time limit may have ended
// together with the context's, and be what the driver reports.
func fail(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	err = explain(err)
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("mongostore: cannot %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("mongostore: cannot %s: %w", what, err)
}

func explain(err error) error {
	var server mongo.ServerError
	if errors.As(err, &server) {
		switch {
		case server.HasErrorCode(codeTooLarge):
			return fallback.ErrTooLarge
		case server.HasErrorCode(codeNotReplicaSet):
			return errAlone
		case server.HasErrorCode(codeIndexOptions) || server.HasErrorCode(codeIndexKeys):
			return errIndex
		}
	}
	var write mongo.WriteException
	if errors.As(err, &write) {
		return refusal{write}
	}
	return err
}
