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

// tablePoll is the interval at which Migrate reads the status of a table.
const tablePoll = 500 * time.Millisecond

// Migrate creates the table, billed by request, if it does not exist. It waits
// until the table is active, and enables the removal of expired items. Any
// number of replicas may call it at startup; a correct table is only read. If
// you prefer to create the table otherwise, use [CloudFormation] or
// [Terraform].
//
// Creating the table takes about 10 seconds. Migrate needs the rights of
// [CreateTable], or only those to describe an existing table.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.createTable(ctx); err != nil {
		return s.fail(ctx, "create the table", err)
	}
	return s.fail(ctx, "have expired items removed", s.enableTTL(ctx))
}

// createTable creates the table if it does not exist, and returns when it is
// active.
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
			continue // it may be reported as missing for a moment
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

// requestTable requests the table. Another replica may have done so in the
// meantime.
func (s *Store) requestTable(ctx context.Context) error {
	_, err := s.client.CreateTable(ctx, definition(*s.table))
	if exists := (*types.ResourceInUseException)(nil); errors.As(err, &exists) {
		return nil
	}
	return err
}

// definition returns the table for Migrate. The printed forms describe the
// same table.
func definition(table string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:            &table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(keyName), AttributeType: types.ScalarAttributeTypeB}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(keyName), KeyType: types.KeyTypeHash}},
	}
}

// checkTable returns an error if an existing table does not fit.
func checkTable(t *types.TableDescription) error {
	if t.TableStatus != types.TableStatusActive && t.TableStatus != types.TableStatusUpdating {
		return fmt.Errorf("the existing table is %s; check it in the console", t.TableStatus)
	}
	good := len(t.KeySchema) == 1 && aws.ToString(t.KeySchema[0].AttributeName) == keyName
	for _, a := range t.AttributeDefinitions {
		good = good && (aws.ToString(a.AttributeName) != keyName || a.AttributeType == types.ScalarAttributeTypeB)
	}
	if !good {
		return fmt.Errorf("the existing table has another key than %q of type B alone; use another table", keyName)
	}
	return nil
}

// enableTTL enables the removal of expired items. It ignores test engines that
// do not support it, because a Store checks each record's expiry itself.
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
	if done, _ := s.hasTTL(ctx); done { // another replica has set it
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
