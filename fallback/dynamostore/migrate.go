package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// tablePoll is how long Migrate waits before it asks again how a table is.
const tablePoll = 500 * time.Millisecond

// Migrate creates the table, billed by request, if it is not there, waits until
// it is, and has DynamoDB remove expired items. Any number of replicas may call
// it when they start; a table that is as it should be is only looked at. For
// who prefers to create it otherwise there are [CloudFormation] and [Terraform].
//
// It takes some 10 seconds where it creates the table. It needs the rights of
// [CreateTable], and those to describe where the table is there.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.createTable(ctx); err != nil {
		return s.fail(ctx, "create the table", err)
	}
	return s.fail(ctx, "have expired items removed", s.enableTTL(ctx))
}

// createTable creates the table if it is not there and returns when it is.
func (s *Store) createTable(ctx context.Context) error {
	for created := false; ; {
		out, err := s.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: s.table})
		missing := (*types.ResourceNotFoundException)(nil)
		switch {
		case err == nil && !coming(out.Table.TableStatus):
			return checkTable(out.Table)
		case errors.As(err, &missing) && !created:
			if err := s.requestTable(ctx); err != nil {
				return err
			}
			created = true
			continue // for a moment it may still be said to be missing
		case err != nil && !errors.As(err, &missing):
			return err
		}
		if err := sleep(ctx, tablePoll); err != nil {
			return err
		}
	}
}

func coming(status types.TableStatus) bool {
	return status == types.TableStatusCreating || status == types.TableStatusDeleting
}

// requestTable asks for the table. Another replica may have done so meanwhile.
func (s *Store) requestTable(ctx context.Context) error {
	_, err := s.client.CreateTable(ctx, definition(*s.table))
	if exists := (*types.ResourceInUseException)(nil); errors.As(err, &exists) {
		return nil
	}
	return err
}

// definition is the table, for Migrate. The printed forms say the same.
func definition(table string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:            &table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(keyName), AttributeType: types.ScalarAttributeTypeB}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(keyName), KeyType: types.KeyTypeHash}},
	}
}

// checkTable says what is wrong with a table that somebody else has made.
func checkTable(t *types.TableDescription) error {
	if t.TableStatus != types.TableStatusActive && t.TableStatus != types.TableStatusUpdating {
		return fmt.Errorf("the table that is there is %s; see to it in the console", t.TableStatus)
	}
	good := len(t.KeySchema) == 1 && aws.ToString(t.KeySchema[0].AttributeName) == keyName
	for _, a := range t.AttributeDefinitions {
		good = good && (aws.ToString(a.AttributeName) != keyName || a.AttributeType == types.ScalarAttributeTypeB)
	}
	if !good {
		return fmt.Errorf("the table that is there has another key than %q of type B alone; use another table", keyName)
	}
	return nil
}

// enableTTL has DynamoDB remove what has expired. Engines for tests that do
// not know how are let be: a Store looks at each record's expiry itself.
func (s *Store) enableTTL(ctx context.Context) error {
	done, err := s.hasTTL(ctx)
	if done || err != nil {
		return err
	}
	_, err = s.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: s.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(ttlName), Enabled: aws.Bool(true)}})
	if err == nil || code(err) == "UnknownOperationException" {
		return nil
	}
	if done, _ := s.hasTTL(ctx); done { // another replica was faster
		return nil
	}
	return err
}

func (s *Store) hasTTL(ctx context.Context) (bool, error) {
	out, err := s.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: s.table})
	if err != nil || out.TimeToLiveDescription == nil {
		return false, err
	}
	switch ttl := out.TimeToLiveDescription; ttl.TimeToLiveStatus {
	case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
		if name := aws.ToString(ttl.AttributeName); name != ttlName {
			return false, fmt.Errorf("the table removes items by the attribute %q, not %q; use another table", name, ttlName)
		}
		return true, nil
	}
	return false, nil
}

func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}
