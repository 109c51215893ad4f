package dynamostore

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/carryon-go/carryon/fallback"
)

// Client is the part of *dynamodb.Client that a [Store] uses. It allows a
// program to pass a client that traces or counts.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)

	// Used by Len and Clear.
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)

	// Used by Migrate and Check.
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	DescribeTimeToLive(context.Context, *dynamodb.DescribeTimeToLiveInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTimeToLiveOutput, error)
	UpdateTimeToLive(context.Context, *dynamodb.UpdateTimeToLiveInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateTimeToLiveOutput, error)
}

var _ Client = (*dynamodb.Client)(nil)

const (
	answerTimeout = time.Second
	idleConns     = 100
	firstBackoff  = 25 * time.Millisecond
	mostBackoff   = 400 * time.Millisecond
)

// ClientOptions sets the options of a client that sessions need:
//
//	client := dynamodb.NewFromConfig(cfg, dynamostore.ClientOptions)
//
// A request without an answer within 1 second is repeated on another
// connection. By default the SDK waits without limit, for example on a
// connection that died while a Lambda was frozen. The pause before a retry is
// at most 25 ms, then 50, 100, ..., 400, instead of 2 seconds, then 4. The
// client keeps 100 idle connections instead of 10, so that a burst of requests
// opens no new ones. Each retry is reported to fallback.WithAttempts.
//
// ClientOptions does not change a custom HTTPClient or a Retryer other than
// the SDK's standard one.
func ClientOptions(o *dynamodb.Options) {
	if client, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
		o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = answerTimeout
			t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, idleConns)
		})
	}
	if standard, ok := o.Retryer.(*retry.Standard); ok {
		o.Retryer = fastRetryer{standard}
	}
}

// fastRetryer is the SDK's retryer for a database that answers in
// milliseconds.
type fastRetryer struct{ *retry.Standard }

// GetRetryToken is called before each retry.
func (b fastRetryer) GetRetryToken(ctx context.Context, failed error) (release func(error) error, err error) {
	release, err = b.Standard.GetRetryToken(ctx, failed)
	if err == nil {
		fallback.ReportAttempt(ctx, failed)
	}
	return release, err
}

// RetryDelay returns the pause after an attempt; the first attempt is 1.
func (fastRetryer) RetryDelay(attempt int, _ error) (time.Duration, error) {
	return backoff(attempt - 1), nil
}

// backoff returns a random pause before a retry, given the number of earlier
// retries.
func backoff(again int) time.Duration {
	most := mostBackoff
	if again < 4 {
		most = firstBackoff << max(again, 0)
	}
	return rand.N(most)
}
