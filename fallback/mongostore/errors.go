package mongostore

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/carryon-go/carryon/fallback"
)

var (
	// errForeign reports a document that another program has written.
	errForeign = errors.New("the document was not written by this package; give the store a collection of its own")

	// errRefused reports that MongoDB refuses a duplicate key although no
	// document has the id.
	errRefused = errors.New("an index other than that of _id refuses the record; " +
		"drop other unique indexes, and shard only by _id")

	errAlone = errors.New("the server is not a member of a replica set and cannot read linearizably; " +
		"start it with --replSet and call rs.initiate(), or set Options.MajorityReads")
)

// Error codes of the server.
const (
	codeUnauthorized  = 13
	codeIndexOptions  = 85 // IndexOptionsConflict
	codeIndexKeys     = 86 // IndexKeySpecsConflict
	codeNotReplicaSet = 123
	codeTooLarge      = 10334 // BSONObjectTooLarge
)

// refusal is a write that the server refused. It hides the driver's text,
// which contains the key or the whole document.
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

// fail adds the failed operation to an error. It also adds the error of an
// ended context, because the driver may report its own time limit instead.
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
