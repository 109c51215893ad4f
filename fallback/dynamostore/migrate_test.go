package dynamostore_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
)

// Replicas that start at the same time create one table, and an existing table
// is kept.
func TestMigrateTogether(t *testing.T) {
	client, table := dial(t, engine(t), nil), "carryon-test."+rand.Text()[:12]
	store := newStore(t, client, dynamostore.Options{Table: table})
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &table})
		require.NoError(t, err)
	})
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		group.Go(func() { errs[i] = store.Migrate(t.Context()) })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one")))
	require.NoError(t, store.Migrate(t.Context()))
	n, err := store.Len(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// cloud is a simulated server with one table.
type cloud struct {
	mu      sync.Mutex
	status  string // "" if there is no table
	polls   int    // number of polls during which the table is still CREATING
	key     object
	ttl     object
	refuse  map[string]string // error code for each failing action
	created object            // input of CreateTable
	updated object            // input of UpdateTimeToLive
}

func (c *cloud) answer(request call) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if code := c.refuse[request.op]; code != "" {
		return failed(code)
	}
	switch request.op {
	case "DescribeTable":
		if c.status == "" {
			return failed("ResourceNotFoundException")
		}
		if c.polls--; c.polls < 0 && c.status == "CREATING" {
			c.status = "ACTIVE"
		}
		table := object{"TableStatus": c.status, "KeySchema": []object{{"AttributeName": "id", "KeyType": "HASH"}},
			"AttributeDefinitions": []object{{"AttributeName": "id", "AttributeType": "B"}}}
		for k, v := range c.key {
			table[k] = v
		}
		return &answer{http.StatusOK, object{"Table": table}, false}
	case "CreateTable":
		c.created, c.status = request.body, "CREATING"
	case "DescribeTimeToLive":
		return &answer{http.StatusOK, object{"TimeToLiveDescription": c.ttl}, false}
	case "UpdateTimeToLive":
		c.updated, c.ttl = request.body, object{"TimeToLiveStatus": "ENABLING", "AttributeName": "ttl"}
	}
	return &answer{http.StatusOK, object{}, false}
}

func disabled() object { return object{"TimeToLiveStatus": "DISABLED"} }

func (c *cloud) migrate(t *testing.T) ([]string, error) {
	store, server := asked(t, c.answer)
	err := store.Migrate(t.Context())
	var ops []string
	for _, call := range server.calls() {
		require.Equal(t, "mine", call.body["TableName"], call.op)
		ops = append(ops, call.op)
	}
	return ops, err
}

var wantedTable = object{
	"TableName": "mine", "BillingMode": "PAY_PER_REQUEST",
	"AttributeDefinitions": []any{object{"AttributeName": "id", "AttributeType": "B"}},
	"KeySchema":            []any{object{"AttributeName": "id", "KeyType": "HASH"}},
}

var wantedTTL = object{"AttributeName": "ttl", "Enabled": true}

func TestMigrateCreates(t *testing.T) {
	c := &cloud{ttl: disabled(), polls: 1}
	ops, err := c.migrate(t)
	require.NoError(t, err)
	require.Equal(t, []string{"DescribeTable", "CreateTable", "DescribeTable", "DescribeTable", "DescribeTimeToLive", "UpdateTimeToLive"}, ops)
	require.Equal(t, wantedTable, c.created)
	require.Equal(t, object{"TableName": "mine", "TimeToLiveSpecification": wantedTTL}, c.updated)

	ops, err = c.migrate(t)
	require.NoError(t, err)
	require.Equal(t, []string{"DescribeTable", "DescribeTimeToLive"}, ops, "an existing table is only read")
}

func TestMigrateBesideAnother(t *testing.T) {
	// Another replica has just created the table or set its TTL.
	c := &cloud{ttl: disabled(), refuse: map[string]string{"CreateTable": "ResourceInUseException"}}
	store, _ := asked(t, func(request call) *answer {
		a := c.answer(request)
		if request.op == "CreateTable" {
			c.status = "CREATING"
		}
		return a
	})
	require.NoError(t, store.Migrate(t.Context()))

	c = &cloud{status: "ACTIVE", ttl: disabled(), refuse: map[string]string{"UpdateTimeToLive": "ValidationException"}}
	store, _ = asked(t, func(request call) *answer {
		a := c.answer(request)
		if request.op == "UpdateTimeToLive" {
			c.ttl = object{"TimeToLiveStatus": "ENABLING", "AttributeName": "ttl"}
		}
		return a
	})
	require.NoError(t, store.Migrate(t.Context()))
}

func TestMigrateRefuses(t *testing.T) {
	for want, c := range map[string]*cloud{
		"another key":                    {status: "ACTIVE", key: object{"KeySchema": []object{{"AttributeName": "pk", "KeyType": "HASH"}}}},
		`than "id" of type B`:            {status: "ACTIVE", key: object{"AttributeDefinitions": []object{{"AttributeName": "id", "AttributeType": "S"}}}},
		"of type B alone":                {status: "ACTIVE", key: object{"KeySchema": []object{{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}}}},
		"is ARCHIVED":                    {status: "ARCHIVED"},
		`by the attribute "expires"`:     {status: "ACTIVE", ttl: object{"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}},
		"DescribeTable, ":                {refuse: map[string]string{"DescribeTable": "AccessDeniedException"}},
		"CreateTable, ":                  {refuse: map[string]string{"CreateTable": "AccessDeniedException"}},
		"DescribeTimeToLive, ":           {status: "ACTIVE", refuse: map[string]string{"DescribeTimeToLive": "AccessDeniedException"}},
		"UpdateTimeToLive, ":             {status: "ACTIVE", ttl: disabled(), refuse: map[string]string{"UpdateTimeToLive": "ValidationException"}},
		"cannot have expired items remo": {status: "ACTIVE", ttl: disabled(), refuse: map[string]string{"UpdateTimeToLive": "AccessDeniedException"}},
	} {
		_, err := c.migrate(t)
		require.ErrorContains(t, err, want)
	}
}

func TestMigrateEndsWithTheContext(t *testing.T) {
	c := &cloud{ttl: disabled(), polls: 1 << 30}
	store, _ := asked(t, c.answer)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, store.Migrate(ctx), context.DeadlineExceeded)
}

// The CloudFormation template matches the table that Migrate creates.
func TestCloudFormation(t *testing.T) {
	text, err := dynamostore.CloudFormation("mine")
	require.NoError(t, err)
	var template struct {
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties object `yaml:"Properties"`
		} `yaml:"Resources"`
		Outputs object `yaml:"Outputs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &template))
	table := template.Resources["CarryonRecords"]
	require.Equal(t, "AWS::DynamoDB::Table", table.Type)
	require.Equal(t, wantedTTL, table.Properties["TimeToLiveSpecification"])
	delete(table.Properties, "TimeToLiveSpecification")
	require.Equal(t, wantedTable, table.Properties)
	require.Contains(t, template.Outputs, "CarryonRecordsArn")

	text, err = dynamostore.CloudFormation("1e3") // a name that looks like a number
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal([]byte(text), &template))
	require.Equal(t, "1e3", template.Resources["CarryonRecords"].Properties["TableName"])
}

func TestTerraform(t *testing.T) {
	text, err := dynamostore.Terraform("mine")
	require.NoError(t, err)
	for _, setting := range []string{`name = "mine"`, `billing_mode = "PAY_PER_REQUEST"`, `hash_key = "id"`,
		`attribute { name = "id" type = "B" }`, `ttl { attribute_name = "ttl" enabled = true }`} {
		require.Contains(t, strings.Join(strings.Fields(text), " "), setting)
	}
	require.Equal(t, strings.Count(text, "{"), strings.Count(text, "}"))
}

func TestPrintedNamesAreNames(t *testing.T) {
	for _, bad := range []string{"x\"\n}", "${evil}", "a b", "!Ref x"} {
		_, err := dynamostore.CloudFormation(bad)
		require.Error(t, err, bad)
		_, err = dynamostore.Terraform(bad)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"", "*", "mine", arn + `"`, arn + "/index/x", arn + "*", strings.Replace(arn, "mine", "*", 1)} {
		_, err := dynamostore.Policy(bad, 0)
		require.ErrorContains(t, err, "ARN", bad)
	}
	_, err := dynamostore.Policy(arn, 1<<20)
	require.ErrorContains(t, err, "no such rights")
}

const arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/mine"

// A policy allows exactly the requests that the calls make.
func TestPolicyIsTheLeast(t *testing.T) {
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.UnixMilli(expires)}
	records := func(s *dynamostore.Store) { // including one that conflicts
		_, _ = s.Load(t.Context(), "id")
		_ = s.Save(t.Context(), "id", fallback.Revision{}, rec)
		_ = s.Touch(t.Context(), "id", rec.Expires)
		_ = s.Delete(t.Context(), "id")
	}
	for rights, run := range map[dynamostore.Rights]func(*dynamostore.Store){
		0:                        func(*dynamostore.Store) {},
		dynamostore.CountRecords: func(s *dynamostore.Store) { _, _ = s.Len(t.Context()) },
		dynamostore.ClearTable:   func(s *dynamostore.Store) { _ = s.Clear(t.Context()) },
		dynamostore.CreateTable:  func(s *dynamostore.Store) { require.NoError(t, s.Migrate(t.Context())) },
	} {
		c := &cloud{ttl: disabled()}
		store, server := asked(t, func(request call) *answer {
			switch request.op {
			case "PutItem":
				return failed("ConditionalCheckFailedException")
			case "Scan":
				return &answer{http.StatusOK, object{"Items": []object{{"id": b64("x")}}}, false}
			}
			return c.answer(request)
		})
		records(store)
		run(store)
		var used []string
		for _, call := range server.calls() {
			used = append(used, "dynamodb:"+call.op)
		}
		require.ElementsMatch(t, slices.Compact(slices.Sorted(slices.Values(used))), allowed(t, rights))
	}
}

func allowed(t *testing.T, rights dynamostore.Rights) []string {
	text, err := dynamostore.Policy(arn, rights)
	require.NoError(t, err)
	var policy struct {
		Version   string
		Statement []struct {
			Effect, Resource string
			Action           []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &policy))
	require.Equal(t, "2012-10-17", policy.Version)
	require.Len(t, policy.Statement, 1)
	require.Equal(t, "Allow", policy.Statement[0].Effect)
	require.Equal(t, arn, policy.Statement[0].Resource)
	return policy.Statement[0].Action
}
