package dynamostore

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/carryon-go/carryon/fallback"
)

// Check implements [fallback.Checker]. It describes the table and its TTL with
// two free requests, which need the rights of [CheckTable]. It changes
// nothing.
func (s *Store) Check(ctx context.Context) error {
	out, err := s.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: s.table})
	if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		return s.report([]fallback.Finding{{Setting: "table", Value: "missing", Effect: "nothing can be stored",
			Fix: "create it, for example with Store.Migrate"}})
	}
	if err != nil {
		return s.fail(ctx, "describe the table", err)
	}
	findings := checkDescription(out.Table)
	ttl, err := s.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: s.table})
	switch {
	case code(err) == "UnknownOperationException": // a test engine
	case err != nil:
		return s.fail(ctx, "describe the time to live", err)
	default:
		findings = append(findings, checkTTL(ttl.TimeToLiveDescription)...)
	}
	return s.report(findings)
}

func (s *Store) report(findings []fallback.Finding) error {
	return fallback.NewCheckError("DynamoDB table "+*s.table, findings)
}

func checkDescription(t *types.TableDescription) (findings []fallback.Finding) {
	if err := checkTable(t); err != nil {
		findings = append(findings, fallback.Finding{Setting: "KeySchema", Value: describeKeys(t), Effect: err.Error(),
			Fix: "create the table with the output of CloudFormation or Terraform"})
	}
	if len(t.Replicas) > 0 && t.MultiRegionConsistency != types.MultiRegionConsistencyStrong {
		findings = append(findings, fallback.Finding{Setting: "Replicas", Value: fmt.Sprintf("%d other regions", len(t.Replicas)),
			Effect: "of two writes in two regions only the later one remains, and a write in one region can undo a logout in another",
			Fix:    "send each visitor to one region, or use a table in one region"})
	}
	return findings
}

func describeKeys(t *types.TableDescription) (text string) {
	for i, k := range t.KeySchema {
		if i > 0 {
			text += ", "
		}
		text += aws.ToString(k.AttributeName)
		for _, a := range t.AttributeDefinitions {
			if aws.ToString(a.AttributeName) == aws.ToString(k.AttributeName) {
				text += " of type " + string(a.AttributeType)
			}
		}
	}
	return text + " (" + string(t.TableStatus) + ")"
}

func checkTTL(d *types.TimeToLiveDescription) []fallback.Finding {
	if d == nil {
		return nil
	}
	switch d.TimeToLiveStatus {
	case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
		if name := aws.ToString(d.AttributeName); name != ttlName {
			return []fallback.Finding{{Setting: "TimeToLive", Value: "by the attribute " + name,
				Effect: "expired records are never removed and cost storage", Fix: "set it to the attribute " + ttlName}}
		}
		return nil
	}
	return []fallback.Finding{{Setting: "TimeToLive", Value: string(d.TimeToLiveStatus),
		Effect: "expired records are never removed and cost storage", Fix: "enable it for the attribute " + ttlName + ", for example with Store.Migrate"}}
}
