package dynamostore_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/carryon-go/carryon/fallback/dynamostore"
)

func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("eu-central-1"))
	if err != nil {
		panic(err)
	}
	client := dynamodb.NewFromConfig(cfg, dynamostore.ClientOptions)
	store, err := dynamostore.New(client, dynamostore.Options{Table: "sessions"})
	if err != nil {
		panic(err)
	}
	_ = store // middleware.Config{Keys: keys, Fallback: store}
}

func ExampleTerraform() {
	text, err := dynamostore.Terraform("")
	if err != nil {
		panic(err)
	}
	fmt.Print(text)
	// Output:
	// resource "aws_dynamodb_table" "carryon_records" {
	//   name         = "carryon_records"
	//   billing_mode = "PAY_PER_REQUEST"
	//   hash_key     = "id"
	//
	//   attribute {
	//     name = "id"
	//     type = "B"
	//   }
	//
	//   ttl {
	//     attribute_name = "ttl"
	//     enabled        = true
	//   }
	// }
}

func ExamplePolicy() {
	text, err := dynamostore.Policy("arn:aws:dynamodb:eu-central-1:123456789012:table/carryon_records", 0)
	if err != nil {
		panic(err)
	}
	fmt.Print(text)
	// Output:
	// {
	//   "Statement": [
	//     {
	//       "Action": [
	//         "dynamodb:GetItem",
	//         "dynamodb:PutItem",
	//         "dynamodb:UpdateItem",
	//         "dynamodb:DeleteItem"
	//       ],
	//       "Effect": "Allow",
	//       "Resource": "arn:aws:dynamodb:eu-central-1:123456789012:table/carryon_records",
	//       "Sid": "CarryonRecords"
	//     }
	//   ],
	//   "Version": "2012-10-17"
	// }
}
