package dynamostore

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// CloudFormation returns a template in YAML for the table that [Store.Migrate]
// creates; "" means [DefaultTable].
func CloudFormation(table string) (string, error) {
	table, err := parseTable(table)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(cloudFormation, table, keyName, ttlName), nil
}

const cloudFormation = `AWSTemplateFormatVersion: "2010-09-09"
Description: Sessions of Carryon that are too large for cookies
Resources:
  CarryonRecords:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: %[1]q
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - AttributeName: %[2]s
          AttributeType: B
      KeySchema:
        - AttributeName: %[2]s
          KeyType: HASH
      TimeToLiveSpecification:
        AttributeName: %[3]s
        Enabled: true
Outputs:
  CarryonRecordsArn:
    Value:
      Fn::GetAtt: [CarryonRecords, Arn]
`

// Terraform returns a resource of the provider hashicorp/aws for the table
// that [Store.Migrate] creates; "" means [DefaultTable].
func Terraform(table string) (string, error) {
	table, err := parseTable(table)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(terraform, table, keyName, ttlName), nil
}

const terraform = `resource "aws_dynamodb_table" "carryon_records" {
  name         = %[1]q
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = %[2]q

  attribute {
    name = %[2]q
    type = "B"
  }

  ttl {
    attribute_name = %[3]q
    enabled        = true
  }
}
`

// Rights are permissions in addition to reading and writing records.
type Rights uint

// The available rights. They can be combined with |.
const (
	CountRecords Rights = 1 << iota // for Store.Len
	ClearTable                      // for Store.Clear
	CreateTable                     // for Store.Migrate
	CheckTable                      // for Store.Check
)

var arn = regexp.MustCompile(`^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}$`)

// Policy returns a minimal IAM policy in JSON: four actions on one table, and
// those for the additional rights. The table is given by its ARN, for example
// "arn:aws:dynamodb:eu-central-1:123456789012:table/carryon_records".
func Policy(tableARN string, more Rights) (string, error) {
	if !arn.MatchString(tableARN) {
		return "", errors.New("dynamostore: this is not the ARN of a table; " +
			"write arn:aws:dynamodb:REGION:ACCOUNT:table/NAME")
	}
	if more >= CheckTable<<1 {
		return "", errors.New("dynamostore: no such rights; use CountRecords, ClearTable, CreateTable and CheckTable")
	}
	policy := map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Sid": "CarryonRecords", "Effect": "Allow", "Action": actions(more), "Resource": tableARN}},
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(policy)
	return text.String(), err
}

func actions(more Rights) []string {
	names := []string{"GetItem", "PutItem", "UpdateItem", "DeleteItem"}
	if more&(CountRecords|ClearTable) != 0 {
		names = append(names, "Scan")
	}
	if more&ClearTable != 0 {
		names = append(names, "BatchWriteItem")
	}
	if more&(CreateTable|CheckTable) != 0 {
		names = append(names, "DescribeTable", "DescribeTimeToLive")
	}
	if more&CreateTable != 0 {
		names = append(names, "CreateTable", "UpdateTimeToLive")
	}
	for i := range names {
		names[i] = "dynamodb:" + names[i]
	}
	return names
}
