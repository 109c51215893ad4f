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

// Client is what a [Store] needs of a *dynamodb.Client, so that a program can
// pass one that traces or counts.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)

	// For Len and Clear.
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)

	// For Migrate and Check.
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

// ClientOptions sets what sessions need of a client:
//
//	client := dynamodb.NewFromConfig(cfg, dynamostore.ClientOptions)
//
// A request that is not answered for 1 second is sent again, on another
// connection: the SDK waits without limit, as it does on a connection that
// died while a Lambda was frozen. Before it sends again it waits up to 25 ms,
// then 50, 100, ..., 400 at most, instead of up to 2 seconds, then 4. It keeps 100
// idle connections instead of 10, so that a burst of requests does not dial anew.
// Each attempt that is made again is reported to fallback.WithAttempts.
//
// An HTTPClient of the program's own kind and a Retryer that is not the SDK's
// standard one stay as they are.
func ClientOptions(o *dynamodb.Options) {
	if client, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
		o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = answerTimeout
			t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, idleConns)
		})
	}
	if standard, ok := o.Retryer.(*retry.Standard); ok {
		o.Retryer = brisk{standard}
	}
}

// brisk is the SDK's retryer for a database that answers in milliseconds.
type brisk struct{ *retry.Standard }

// GetRetryToken is asked before an attempt is made again.
func (b brisk) GetRetryToken(ctx context.Context, failed error) (release func(error) error, err error) {
	release, err = b.Standard.GetRetryToken(ctx, failed)
	if err == nil {
		fallback.ReportAttempt(ctx, failed)
	}
	return release, err
}

// RetryDelay says how long to wait after an attempt; the first is 1.
func (brisk) RetryDelay(attempt int, _ error) (time.Duration, error) {
	return backoff(attempt - 1), nil
}

// backoff draws how long to wait before a request is sent again, after some
// that were.
func backoff(again int) time.Duration {
	most := mostBackoff
	if again < 4 {
		most = firstBackoff << max(again, 0)
	}
	return rand.N(most)
}
