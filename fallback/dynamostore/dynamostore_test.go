package dynamostore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
)

func newStore(t testing.TB, client dynamostore.Client, o dynamostore.Options) *dynamostore.Store {
	t.Helper()
	store, err := dynamostore.New(client, o)
	require.NoError(t, err)
	return store
}

// engine returns the address of a DynamoDB. If there is none, the test is
// skipped, or fails in CI, which starts one.
func engine(t testing.TB) string {
	t.Helper()
	address := os.Getenv("CARRYON_TEST_DYNAMODB")
	if address == "" {
		const what = "CARRYON_TEST_DYNAMODB is not set; start dynalite and set it to http://127.0.0.1:4567"
		if os.Getenv("CI") == "true" {
			t.Fatal(what + "; it is required in CI")
		}
		t.Skip(what)
	}
	return address
}

// newTable creates an unused table and deletes it after the test.
func newTable(t testing.TB) (*dynamodb.Client, string) {
	t.Helper()
	client, table := dial(t, engine(t), nil), "carryon-test."+rand.Text()[:12]
	require.NoError(t, newStore(t, client, dynamostore.Options{Table: table}).Migrate(t.Context()))
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &table})
		require.NoError(t, err)
	})
	return client, table
}

func record(old fallback.Revision, data string) fallback.Record {
	return fallback.Record{Revision: old.Next(), Data: []byte(data), Expires: time.Now().Add(time.Hour)}
}

func TestConformance(t *testing.T) {
	_, table := newTable(t)
	fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
		clock, wire := fallbacktest.NewClock(), &line{}
		client, other := dial(t, engine(t), wire), dial(t, engine(t), nil)
		opt := dynamostore.Options{Table: table, Clock: clock.Now}
		store := newStore(t, client, opt)
		require.NoError(t, store.Clear(t.Context()))
		return fallbacktest.Setup{
			Store: store, Other: newStore(t, other, opt), Now: clock.Now, Advance: clock.Advance, MaxRecord: dynamostore.MaxRecord,
			Skewed: func(d time.Duration) fallback.Store {
				fast := opt
				fast.Clock = func() time.Time { return clock.Now().Add(d) }
				return newStore(t, client, fast)
			},
			Break: wire.cut,
		}
	})
}

// The stored form matches the documentation.
func TestStoredForm(t *testing.T) {
	client, table := newTable(t)
	store := newStore(t, client, dynamostore.Options{Table: table, Clock: func() time.Time { return time.UnixMilli(1) }})
	rec := fallback.Record{Revision: fallback.Revision{Number: 0x0102030405060708, Tag: [16]byte{0xaa, 15: 0xbb}},
		Data: []byte("sealed\x00"), Expires: time.UnixMilli(2_000_000_000_123).Add(999 * time.Microsecond)}
	require.NoError(t, store.Save(t.Context(), "\x00id", fallback.Revision{}, rec))
	item := func() map[string]types.AttributeValue {
		out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: binaryKey("\x00id")})
		require.NoError(t, err)
		return out.Item
	}
	rev, err := hex.DecodeString("0102030405060708" + "aa0000000000000000000000000000bb")
	require.NoError(t, err)
	want := map[string]types.AttributeValue{
		"id":      &types.AttributeValueMemberB{Value: []byte("\x00id")},
		"rev":     &types.AttributeValueMemberB{Value: rev},
		"expires": &types.AttributeValueMemberN{Value: "2000000000123"},
		"ttl":     &types.AttributeValueMemberN{Value: "2000000061"}, // rounded up, plus a minute
		"sealed":  &types.AttributeValueMemberB{Value: []byte("sealed\x00")},
	}
	require.Equal(t, want, item())

	require.NoError(t, store.Touch(t.Context(), "\x00id", time.UnixMilli(2_100_000_000_000)))
	want["expires"] = &types.AttributeValueMemberN{Value: "2100000000000"}
	want["ttl"] = &types.AttributeValueMemberN{Value: "2100000060"}
	require.Equal(t, want, item())

	empty := record(rec.Revision, "")
	require.NoError(t, store.Save(t.Context(), "\x00id", rec.Revision, empty))
	require.NotContains(t, item(), "sealed")
}

func binaryKey(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": &types.AttributeValueMemberB{Value: []byte(id)}}
}

// The engine counts names and all attributes, so MaxRecord must leave space
// for the longest of them.
func TestLargestRecord(t *testing.T) {
	client, table := newTable(t)
	store := newStore(t, client, dynamostore.Options{Table: table})
	id := strings.Repeat("\xff", fallback.MaxID)
	rec := fallback.Record{Revision: fallback.Revision{Number: fallback.MaxNumber, Tag: [16]byte{1}},
		Data: bytes.Repeat([]byte{7}, dynamostore.MaxRecord), Expires: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)}
	require.NoError(t, store.Save(t.Context(), id, fallback.Revision{}, rec))
	got, err := store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, len(rec.Data), len(got.Data))
	require.NoError(t, store.Touch(t.Context(), id, rec.Expires.Add(-time.Hour)))

	more := record(fallback.Revision{}, string(rec.Data)+"x")
	require.ErrorIs(t, store.Save(t.Context(), "another", fallback.Revision{}, more), fallback.ErrTooLarge)
	_, err = store.Load(t.Context(), "another")
	require.ErrorIs(t, err, fallback.ErrNotFound)
}

// An item of another program is neither read nor overwritten.
func TestForeignItems(t *testing.T) {
	client, table := newTable(t)
	store := newStore(t, client, dynamostore.Options{Table: table})
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	digits := func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
	raw := func(n int) types.AttributeValue {
		return &types.AttributeValueMemberB{Value: bytes.Repeat([]byte{1}, n)}
	}
	late := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	for name, item := range map[string]map[string]types.AttributeValue{
		"a session of express":   {"sess": text("{}"), "expires": digits("1")},
		"no revision":            {"expires": digits(late)},
		"no expiry":              {"rev": raw(24)},
		"the revision is text":   {"rev": text(strings.Repeat("x", 24)), "expires": digits(late)},
		"the revision is short":  {"rev": raw(23), "expires": digits(late)},
		"the revision is zero":   {"rev": &types.AttributeValueMemberB{Value: make([]byte, 24)}, "expires": digits(late)},
		"the number is too high": {"rev": &types.AttributeValueMemberB{Value: bytes.Repeat([]byte{0xff}, 24)}, "expires": digits(late)},
		"the expiry is text":     {"rev": raw(24), "expires": text(late)},
		"the expiry is no time":  {"rev": raw(24), "expires": digits("1" + strings.Repeat("0", 30))},
		"a fraction":             {"rev": raw(24), "expires": digits("99999999999999.5")},
		"the data is text":       {"rev": raw(24), "expires": digits(late), "sealed": text("x")},
	} {
		t.Run(name, func(t *testing.T) {
			item["id"] = binaryKey(name)["id"]
			_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item})
			require.NoError(t, err)
			_, err = store.Load(t.Context(), name)
			require.ErrorContains(t, err, "use another table")
			require.NotErrorIs(t, err, fallback.ErrNotFound)
			err = store.Save(t.Context(), name, fallback.Revision{}, record(fallback.Revision{}, "new"))
			require.Error(t, err)
			if item["sealed"] == nil { // the test engine does not return the existing item
				require.ErrorContains(t, err, "use another table")
				require.NotErrorIs(t, err, fallback.ErrConflict)
			}
			out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: binaryKey(name)})
			require.NoError(t, err)
			require.Equal(t, item, out.Item)
		})
	}
}

// Clear deletes all pages and batches, and no items of other programs.
func TestClearAndLenTakeEveryPage(t *testing.T) {
	client, table := newTable(t)
	store := newStore(t, client, dynamostore.Options{Table: table})
	other := binaryKey("other")
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: other})
	require.NoError(t, err)
	const records, large = 70, 5 // a page has 1 MB, a batch 25 items
	var group sync.WaitGroup
	for i := range records {
		data := ""
		if i < large {
			data = strings.Repeat("x", 300_000)
		}
		group.Go(func() {
			if err := store.Save(t.Context(), "record "+strconv.Itoa(i), fallback.Revision{}, record(fallback.Revision{}, data)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	n, err := store.Len(t.Context())
	require.NoError(t, err)
	require.Equal(t, records, n)
	require.NoError(t, store.Clear(t.Context()))
	n, err = store.Len(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: other})
	require.NoError(t, err)
	require.Equal(t, other, out.Item)
}

func TestNewRefuses(t *testing.T) {
	for _, none := range []dynamostore.Client{nil, (*dynamodb.Client)(nil)} {
		_, err := dynamostore.New(none, dynamostore.Options{Table: "a b"})
		require.ErrorContains(t, err, "no client")
		require.ErrorContains(t, err, "name")
	}
	for _, bad := range []string{"ab", "a/b", "tab\n", `x"y`, "sessiön", "arn:aws:dynamodb:x:1:table/y", strings.Repeat("x", 256)} {
		_, err := dynamostore.New(dynamodb.New(dynamodb.Options{}), dynamostore.Options{Table: bad})
		require.ErrorContains(t, err, "invalid table name", bad)
	}
}
