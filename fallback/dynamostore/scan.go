package dynamostore

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	batchMost = 25 // maximum for a BatchWriteItem
	idleTries = 10 // consecutive batches without progress: about 2 s
)

// errBusy reports that the table has no write capacity left.
var errBusy = errors.New("the table has no write capacity left; call it again later")

// Len implements [fallback.Counter]. It reads the whole table, which costs a
// read unit per 4 KB.
func (s *Store) Len(ctx context.Context) (n int, err error) {
	err = s.scan(ctx, &dynamodb.ScanInput{
		Select: types.SelectCount, FilterExpression: aws.String(ifLives),
		ExpressionAttributeValues: attributes{":now": number(s.now())},
	}, func(page *dynamodb.ScanOutput) error {
		n += int(page.Count)
		return nil
	})
	return n, s.fail(ctx, "count the records", err)
}

// Clear implements [fallback.Clearer]. It reads the whole table and deletes
// all records in batches of 25, including those of other programs that share
// the table. It keeps items that this package has not written. It costs a read
// unit per 4 KB and a write unit per 1 KB. Deleting the table and calling
// [Store.Migrate] is free.
//
// If the table's write capacity is used up, Clear waits, and gives up after
// about 2 seconds without progress. Deleted records stay deleted.
func (s *Store) Clear(ctx context.Context) error {
	err := s.scan(ctx, &dynamodb.ScanInput{
		ProjectionExpression: aws.String(keyName),
		FilterExpression:     aws.String("attribute_exists(rev) AND attribute_exists(expires)"),
	}, func(page *dynamodb.ScanOutput) error { return s.deleteAll(ctx, page.Items) })
	return s.fail(ctx, "clear the table", err)
}

// scan calls some for each page of a strongly consistent scan.
func (s *Store) scan(ctx context.Context, in *dynamodb.ScanInput, some func(*dynamodb.ScanOutput) error) error {
	in.TableName, in.ConsistentRead = s.table, aws.Bool(true)
	for {
		page, err := s.client.Scan(ctx, in)
		if err == nil {
			err = some(page)
		}
		if err != nil || len(page.LastEvaluatedKey) == 0 {
			return err
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

func (s *Store) deleteAll(ctx context.Context, keys []attributes) error {
	var requests []types.WriteRequest
	for _, k := range keys {
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k}})
	}
	for len(requests) > 0 {
		n := min(len(requests), batchMost)
		if err := s.batch(ctx, requests[:n]); err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// batch sends a batch, and repeats the part that DynamoDB has not processed.
func (s *Store) batch(ctx context.Context, requests []types.WriteRequest) error {
	for idle := 0; idle < idleTries; idle++ {
		out, err := s.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{*s.table: requests}})
		if err != nil {
			return err
		}
		left := out.UnprocessedItems[*s.table]
		if len(left) == 0 {
			return nil
		}
		if len(left) < len(requests) {
			idle = 0
		}
		requests = left
		if err := sleep(ctx, firstBackoff+backoff(idle)); err != nil {
			return err
		}
	}
	return errBusy
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
