package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
)

var errDynamo = errors.New("the address cannot be read; write dynamodb://TABLE?region=eu-central-1, " +
	"and endpoint=http://127.0.0.1:4567 for one that is not Amazon's")

// openDynamo accepts dynamodb://TABLE?endpoint=…&region=…, and creates the
// table if it does not exist. Credentials come from the SDK's usual sources.
func openDynamo(ctx context.Context, address string) (fallback.Store, error) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Path != "" {
		return nil, errDynamo
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errDynamo
	}
	cfg, err := config.LoadDefaultConfig(ctx, dynamoOptions(query.Get("region"), query.Get("endpoint"))...)
	if err != nil {
		return nil, err
	}
	store, err := dynamostore.New(dynamodb.NewFromConfig(cfg, dynamostore.ClientOptions), dynamostore.Options{Table: u.Host})
	if err == nil {
		err = store.Migrate(ctx)
	}
	return store, err
}

// dynamoOptions returns the location of DynamoDB. A local engine ignores
// credentials, but without any the SDK would search the network for them.
func dynamoOptions(region, endpoint string) (options []func(*config.LoadOptions) error) {
	if endpoint != "" {
		region = cmp.Or(region, os.Getenv("AWS_REGION"), "us-east-1")
		options = append(options, config.WithBaseEndpoint(endpoint))
		if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
			options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")))
		}
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	return options
}
