package dynamostore_test

import (
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
)

// These tests check the requests, because the test engine lacks some features
// or does not distinguish some cases.

const now, expires = 1_000, 2_000_123

func at(ms int64) func() time.Time { return func() time.Time { return time.UnixMilli(ms) } }

// asked returns a store whose server answers with f, and that server.
func asked(t *testing.T, f func(call) *answer) (*dynamostore.Store, *server) {
	s := serve(t, "", f)
	return newStore(t, dial(t, s.URL, nil), dynamostore.Options{Table: "mine", Clock: at(now)}), s
}

func empty(call) *answer { return &answer{status: http.StatusOK, body: map[string]any{}} }

type object = map[string]any

func b64(s string) object { return object{"B": base64.StdEncoding.EncodeToString([]byte(s))} }
func num(n int64) object  { return object{"N": strconv.FormatInt(n, 10)} }

func rev(r fallback.Revision) object {
	return b64(string(binary.BigEndian.AppendUint64(nil, r.Number)) + string(r.Tag[:]))
}

func TestRequests(t *testing.T) {
	one := fallback.Revision{}.Next()
	two := fallback.Record{Revision: one.Next(), Data: []byte("sealed"), Expires: time.UnixMilli(expires)}
	item := object{"id": b64("\xffid"), "rev": rev(two.Revision), "expires": num(expires), "ttl": num(2_061), "sealed": b64("sealed")}
	put := object{"TableName": "mine", "Item": item, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
	with := func(o object, more object) object {
		o = maps.Clone(o)
		maps.Copy(o, more)
		return o
	}
	tests := []struct {
		name string
		run  func(s *dynamostore.Store) error
		op   string
		want object
	}{
		{"Load", func(s *dynamostore.Store) error {
			_, err := s.Load(t.Context(), "\xffid")
			require.ErrorIs(t, err, fallback.ErrNotFound)
			return nil
		}, "GetItem", object{"TableName": "mine", "Key": object{"id": b64("\xffid")}, "ConsistentRead": true}},
		{"create", func(s *dynamostore.Store) error {
			return s.Save(t.Context(), "\xffid", fallback.Revision{}, two)
		}, "PutItem", with(put, object{
			"ConditionExpression":       "attribute_not_exists(id) OR (attribute_exists(rev) AND expires <= :now)",
			"ExpressionAttributeValues": object{":now": num(now)}})},
		{"save", func(s *dynamostore.Store) error {
			return s.Save(t.Context(), "\xffid", one, two)
		}, "PutItem", with(put, object{
			"ConditionExpression":       "rev = :old AND expires > :now",
			"ExpressionAttributeValues": object{":now": num(now), ":old": rev(one)}})},
		{"Touch", func(s *dynamostore.Store) error {
			return s.Touch(t.Context(), "\xffid", two.Expires)
		}, "UpdateItem", object{"TableName": "mine", "Key": object{"id": b64("\xffid")},
			"UpdateExpression":                    "SET expires = :expires, #ttl = :ttl",
			"ConditionExpression":                 "attribute_exists(rev) AND expires > :now",
			"ExpressionAttributeNames":            object{"#ttl": "ttl"},
			"ExpressionAttributeValues":           object{":now": num(now), ":expires": num(expires), ":ttl": num(2_061)},
			"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
		{"Delete", func(s *dynamostore.Store) error {
			return s.Delete(t.Context(), "\xffid")
		}, "DeleteItem", object{"TableName": "mine", "Key": object{"id": b64("\xffid")}}},
		{"Len", func(s *dynamostore.Store) error {
			_, err := s.Len(t.Context())
			return err
		}, "Scan", object{"TableName": "mine", "ConsistentRead": true, "Select": "COUNT",
			"FilterExpression":          "attribute_exists(rev) AND expires > :now",
			"ExpressionAttributeValues": object{":now": num(now)}}},
		{"Clear", func(s *dynamostore.Store) error {
			return s.Clear(t.Context())
		}, "Scan", object{"TableName": "mine", "ConsistentRead": true, "ProjectionExpression": "id",
			"FilterExpression": "attribute_exists(rev) AND attribute_exists(expires)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store, server := asked(t, empty)
			require.NoError(t, test.run(store))
			require.Equal(t, []call{{test.op, test.want}}, server.calls())
		})
	}
}

// The existing item, which DynamoDB returns, determines the meaning of a
// refused write.
func TestRefusedWrites(t *testing.T) {
	one := fallback.Revision{}.Next()
	two := fallback.Record{Revision: one.Next(), Expires: time.UnixMilli(expires)}
	stands := func(r fallback.Revision, ms int64) object {
		return object{"id": b64("id"), "rev": rev(r), "expires": num(ms)}
	}
	tests := []struct {
		name  string
		item  object
		save  error // nil: the write has happened before
		touch error
	}{
		{"the same revision", stands(two.Revision, expires), nil, fallback.ErrNotFound},
		{"the same revision, touched", stands(two.Revision, now+1), nil, fallback.ErrNotFound},
		{"the same revision, expired", stands(two.Revision, now), fallback.ErrConflict, fallback.ErrNotFound},
		{"another one", stands(one.Next(), expires), fallback.ErrConflict, fallback.ErrNotFound},
		{"foreign", object{"id": b64("id"), "sess": object{"S": "{}"}}, errForeign, errForeign},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store, server := asked(t, func(call) *answer {
				a := failed("ConditionalCheckFailedException")
				a.body.(object)["Item"] = test.item
				return a
			})
			for _, old := range []fallback.Revision{{}, one} {
				same(t, test.save, store.Save(t.Context(), "id", old, two))
			}
			same(t, test.touch, store.Touch(t.Context(), "id", two.Expires))
			require.Len(t, server.calls(), 3, "one request each")
		})
	}
}

var errForeign = textError("use another table")

type textError string

func (e textError) Error() string { return string(e) }

// same compares sentinels by identity and other errors by text.
func same(t *testing.T, want, got error) {
	t.Helper()
	if text, ok := want.(textError); ok {
		require.ErrorContains(t, got, string(text))
		require.NotErrorIs(t, got, fallback.ErrConflict)
		require.NotErrorIs(t, got, fallback.ErrNotFound)
		return
	}
	require.ErrorIs(t, got, want)
}

// If there was no item, or an engine does not return it, the store reads it.
func TestRefusedWritesWithoutTheItem(t *testing.T) {
	one := fallback.Revision{}.Next()
	two := fallback.Record{Revision: one.Next(), Expires: time.UnixMilli(expires)}
	for name, test := range map[string]struct {
		read *answer
		want error
	}{
		"nothing":     {&answer{status: 200, body: object{}}, fallback.ErrConflict},
		"the same":    {&answer{status: 200, body: object{"Item": object{"rev": rev(two.Revision), "expires": num(expires)}}}, nil},
		"another":     {&answer{status: 200, body: object{"Item": object{"rev": rev(one), "expires": num(expires)}}}, fallback.ErrConflict},
		"not allowed": {failed("AccessDeniedException"), textError("AccessDeniedException")},
	} {
		t.Run(name, func(t *testing.T) {
			store, server := asked(t, func(c call) *answer {
				if c.op == "GetItem" {
					return test.read
				}
				return failed("ConditionalCheckFailedException")
			})
			same(t, test.want, store.Save(t.Context(), "id", one, two))
			calls := server.calls()
			require.Len(t, calls, 2)
			require.Equal(t, object{"TableName": "mine", "Key": object{"id": b64("id")}, "ConsistentRead": true,
				"ProjectionExpression": "rev, expires"}, calls[1].body)
		})
	}
}

// An error of the engine is never a result about the record.
func TestErrorsAreNoAnswers(t *testing.T) {
	for _, code := range []string{"ResourceNotFoundException", "AccessDeniedException", "ValidationException",
		"ReplicatedWriteConflictException", "TransactionConflictException", "UnrecognizedClientException", "LimitExceededException"} {
		store, _ := asked(t, func(call) *answer { return failed(code) })
		for what, err := range everyCall(t, store) {
			require.ErrorContains(t, err, code, what)
			for _, sentinel := range []error{fallback.ErrNotFound, fallback.ErrConflict, fallback.ErrTooLarge, fallback.ErrFull} {
				require.NotErrorIs(t, err, sentinel, what)
			}
			require.Equal(t, code == "ResourceNotFoundException", strings.Contains(err.Error(), "Migrate"), what)
		}
	}
}

func everyCall(t *testing.T, store *dynamostore.Store) map[string]error {
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.UnixMilli(expires)}
	_, loaded := store.Load(t.Context(), "id")
	_, counted := store.Len(t.Context())
	return map[string]error{"Load": loaded, "Len": counted, "Clear": store.Clear(t.Context()), "Delete": store.Delete(t.Context(), "id"),
		"Save": store.Save(t.Context(), "id", fallback.Revision{}, rec), "Touch": store.Touch(t.Context(), "id", rec.Expires)}
}

// Clear repeats the unprocessed part of a batch, and nothing else, a limited
// number of times.
func TestClearSendsAgainWhatWasNotDone(t *testing.T) {
	keys := make([]any, 60)
	for i := range keys {
		keys[i] = object{"id": b64(strconv.Itoa(i))}
	}
	deleted, busy := map[string]int{}, 0
	store, _ := asked(t, func(c call) *answer {
		if c.op == "Scan" {
			return &answer{status: 200, body: object{"Items": keys, "Count": len(keys)}}
		}
		requests := c.body["RequestItems"].(object)["mine"].([]any)
		done := min(len(requests), 10) // it processes ten at a time, and every other time none
		if busy++; busy%2 == 0 {
			done = 0
		}
		for _, r := range requests[:done] {
			deleted[r.(object)["DeleteRequest"].(object)["Key"].(object)["id"].(object)["B"].(string)]++
		}
		left := object{}
		if done < len(requests) {
			left["mine"] = requests[done:]
		}
		return &answer{status: 200, body: object{"UnprocessedItems": left}}
	})
	require.NoError(t, store.Clear(t.Context()))
	require.Len(t, deleted, len(keys))
	for _, times := range deleted {
		require.Equal(t, 1, times)
	}
}

func TestClearGivesUp(t *testing.T) {
	store, server := asked(t, func(c call) *answer {
		if c.op == "Scan" {
			return &answer{status: 200, body: object{"Items": []any{object{"id": b64("x")}}}}
		}
		return &answer{status: 200, body: object{"UnprocessedItems": c.body["RequestItems"]}}
	})
	require.ErrorContains(t, store.Clear(t.Context()), "no write capacity left")
	require.Len(t, server.calls(), 11)
}
