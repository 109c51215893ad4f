package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/carryon-go/carryon/fallback"
)

// DefaultTable is used if Options.Table is empty.
const DefaultTable = "carryon_records"

var tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)

// Options configures a [Store]. The zero value is ready to use.
type Options struct {
	// Table is the name of the table, not its ARN; "" means [DefaultTable].
	// Programs may share a table, because their ids never collide. It should
	// contain no other items.
	Table string

	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time
}

// Store is a [fallback.Store] in a table. It is also a [fallback.Counter],
// [fallback.Clearer] and [fallback.Checker]. DynamoDB removes expired records
// itself.
type Store struct {
	client Client
	table  *string
	clock  func() time.Time
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// New returns a store over a client. It does not contact DynamoDB;
// [Store.Migrate] creates the table.
func New(client Client, o Options) (*Store, error) {
	table, err := parseTable(o.Table)
	if none, typed := client.(*dynamodb.Client); client == nil || typed && none == nil {
		err = errors.Join(err, errors.New("dynamostore: no client; use dynamodb.NewFromConfig"))
	}
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Store{client: client, table: &table, clock: o.Clock}, nil
}

func parseTable(name string) (string, error) {
	if name == "" {
		return DefaultTable, nil
	}
	if !tableName.MatchString(name) {
		return "", fmt.Errorf("dynamostore: invalid table name %q: use 3 to 255 letters, digits, _, - and dots", name)
	}
	return name, nil
}

// Load implements [fallback.Store] with one strongly consistent GetItem.
func (s *Store) Load(ctx context.Context, id string) (fallback.Record, error) {
	if err := fallback.CheckID(id); err != nil {
		return fallback.Record{}, err
	}
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: s.table, Key: key(id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return fallback.Record{}, s.fail(ctx, "load a record", err)
	}
	if len(out.Item) == 0 {
		return fallback.Record{}, fallback.ErrNotFound
	}
	rec, err := unpack(out.Item)
	if err != nil {
		return fallback.Record{}, s.fail(ctx, "load a record", err)
	}
	if rec.Expires.UnixMilli() <= s.now() {
		return fallback.Record{}, fallback.ErrNotFound
	}
	return rec, nil
}

// The conditions of writes. A record that has expired by the caller's clock
// does not exist. An item of another program meets none of the conditions.
const (
	ifFree    = "attribute_not_exists(id) OR (attribute_exists(rev) AND expires <= :now)"
	ifAt      = "rev = :old AND expires > :now"
	ifLives   = "attribute_exists(rev) AND expires > :now"
	setExpiry = "SET expires = :expires, #ttl = :ttl"
)

// Save implements [fallback.Store] with one PutItem. A conflict with a missing
// record takes a GetItem as well. It returns fallback.ErrTooLarge for data of
// more than [MaxRecord] bytes.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	if len(new.Data) > MaxRecord {
		return fmt.Errorf("%w: it has %d bytes, the limit for DynamoDB is %d", fallback.ErrTooLarge, len(new.Data), MaxRecord)
	}
	condition, values := ifFree, attributes{":now": number(s.now())}
	if !old.IsZero() {
		condition, values[":old"] = ifAt, bytes(revision(old))
	}
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: s.table, Item: pack(id, new), ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	done := err == nil
	if failed := refused(err); failed != nil {
		// If an earlier attempt succeeded and its answer was lost, the record
		// has the new revision.
		done, err = s.hasRevision(ctx, id, failed.Item, new.Revision)
	}
	if err != nil {
		return s.fail(ctx, "save a record", err)
	}
	if !done {
		return fallback.ErrConflict
	}
	return nil
}

// hasRevision reports whether the record is at the revision. A refused write
// returns the existing item; test engines omit it.
func (s *Store) hasRevision(ctx context.Context, id string, item attributes, want fallback.Revision) (bool, error) {
	if len(item) == 0 {
		out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: s.table, Key: key(id),
			ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("rev, expires")})
		if err != nil || len(out.Item) == 0 {
			return false, err
		}
		item = out.Item
	}
	rec, err := unpack(item)
	return rec.Revision == want && rec.Expires.UnixMilli() > s.now(), err
}

// Touch implements [fallback.Store] with one UpdateItem. DynamoDB bills it as
// a write of the whole item.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: s.table, Key: key(id), UpdateExpression: aws.String(setExpiry), ConditionExpression: aws.String(ifLives),
		ExpressionAttributeNames: map[string]string{"#ttl": ttlName}, // a reserved word
		ExpressionAttributeValues: attributes{
			":now": number(s.now()), ":expires": number(expires.UnixMilli()), ":ttl": number(removal(expires))},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if failed := refused(err); failed != nil {
		if err = foreign(failed.Item); err == nil {
			return fallback.ErrNotFound
		}
	}
	return s.fail(ctx, "touch a record", err)
}

// Delete implements [fallback.Store] with one DeleteItem.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: s.table, Key: key(id)})
	return s.fail(ctx, "delete a record", err)
}

func (s *Store) now() int64 { return s.clock().UnixMilli() }

// refused returns the error of a failed condition, or nil.
func refused(err error) *types.ConditionalCheckFailedException {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return failed
	}
	return nil
}

// fail adds the failed operation to an error. It also adds the error of an
// ended context, because the client may report its own time limit instead.
func (s *Store) fail(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("dynamostore: cannot %s: %w: %w", what, ended, err)
	}
	if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		return fmt.Errorf("dynamostore: cannot %s: there is no table %q here; create it, for example with Store.Migrate: %w", what, *s.table, err)
	}
	return fmt.Errorf("dynamostore: cannot %s: %w", what, err)
}
