package dynamostore_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
)

func (c *cloud) check(t *testing.T) ([]string, error) {
	store, server := asked(t, c.answer)
	err := store.Check(t.Context())
	var ops []string
	for _, call := range server.calls() {
		ops = append(ops, call.op)
	}
	return ops, err
}

func TestCheck(t *testing.T) {
	enabled := object{"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
	definition := func(kind string) []object { return []object{{"AttributeName": "id", "AttributeType": kind}} }
	replicas := []object{{"RegionName": "eu-west-1"}}
	for name, test := range map[string]struct {
		cloud *cloud
		says  string // "" if nothing is wrong
	}{
		"as it should be":   {&cloud{status: "ACTIVE", ttl: enabled}, ""},
		"missing":           {&cloud{}, "table is missing"},
		"text as a key":     {&cloud{status: "ACTIVE", ttl: enabled, key: object{"AttributeDefinitions": definition("S")}}, "KeySchema is id of type S"},
		"being deleted":     {&cloud{status: "ARCHIVED", ttl: enabled}, "ARCHIVED"},
		"a sort key":        {&cloud{status: "ACTIVE", ttl: enabled, key: object{"KeySchema": []object{{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "rev", "KeyType": "RANGE"}}}}, "KeySchema is id of type B, rev"},
		"no time to live":   {&cloud{status: "ACTIVE", ttl: disabled()}, "TimeToLive is DISABLED"},
		"another attribute": {&cloud{status: "ACTIVE", ttl: object{"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}}, "TimeToLive is by the attribute expires"},
		"other regions":     {&cloud{status: "ACTIVE", ttl: enabled, key: object{"Replicas": replicas}}, "Replicas is 1 other regions"},
		"strong between regions": {&cloud{status: "ACTIVE", ttl: enabled, key: object{"Replicas": replicas,
			"MultiRegionConsistency": "STRONG"}}, ""},
		"an engine for tests": {&cloud{status: "ACTIVE", refuse: map[string]string{"DescribeTimeToLive": "UnknownOperationException"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ops, err := test.cloud.check(t)
			require.NotContains(t, ops, "CreateTable")
			require.NotContains(t, ops, "UpdateTimeToLive")
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			var check *fallback.CheckError
			require.ErrorAs(t, err, &check)
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestCheckSaysWhatItMayNot(t *testing.T) {
	for _, op := range []string{"DescribeTable", "DescribeTimeToLive"} {
		c := cloud{status: "ACTIVE", refuse: map[string]string{op: "AccessDeniedException"}}
		_, err := c.check(t)
		require.ErrorContains(t, err, "AccessDeniedException")
		require.False(t, errors.As(err, new(*fallback.CheckError)))
	}
}

func TestCheckOfARealTable(t *testing.T) {
	client, table := newTable(t)
	store := newStore(t, client, dynamostore.Options{Table: table})
	if err := store.Check(t.Context()); err != nil { // dynalite does not support TTL
		require.ErrorContains(t, err, "TimeToLive is DISABLED")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.Check(ctx), context.Canceled)
}

// Each request that the SDK retries is reported; the last failure is returned
// to the caller.
func TestAttemptsAreReported(t *testing.T) {
	failures := 2
	store, server := asked(t, func(call) *answer {
		if failures--; failures >= 0 {
			return failed("ProvisionedThroughputExceededException")
		}
		return &answer{http.StatusOK, object{}, false}
	})
	var told []error
	ctx := fallback.WithAttempts(t.Context(), func(err error) { told = append(told, err) })
	require.NoError(t, store.Delete(ctx, "id"))
	require.Len(t, told, 2)
	require.ErrorContains(t, told[0], "ProvisionedThroughputExceededException")
	require.Len(t, server.calls(), 3)

	failures, told = 100, nil
	require.Error(t, store.Delete(ctx, "id"))
	require.Len(t, told, 2, "three attempts; the last one is returned")
}
