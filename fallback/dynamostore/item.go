package dynamostore

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/carryon-go/carryon/fallback"
)

// MaxRecord is the maximum size of a record's data in bytes. An item of
// DynamoDB has at most 409,600 bytes, including all names and attributes.
const MaxRecord = 400<<10 - 256

// ttlGrace is how long an item outlives its record, for replicas whose clocks
// are behind.
const ttlGrace = time.Minute

// The names of the attributes. They count toward an item's size. Those used in
// conditions are not reserved words of DynamoDB.
const (
	keyName     = "id"
	revName     = "rev"
	expiresName = "expires"
	sealedName  = "sealed"
	ttlName     = "ttl"
)

type attributes = map[string]types.AttributeValue

// errForeign reports an item that another program has written.
var errForeign = errors.New("the item was not written by this package; use another table")

func key(id string) attributes { return attributes{keyName: bytes([]byte(id))} }

func bytes(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func pack(id string, rec fallback.Record) attributes {
	item := key(id)
	item[revName] = bytes(revision(rec.Revision))
	item[expiresName] = number(rec.Expires.UnixMilli())
	item[ttlName] = number(removal(rec.Expires))
	if len(rec.Data) > 0 { // some engines refuse an empty value
		item[sealedName] = bytes(rec.Data)
	}
	return item
}

// removal returns when DynamoDB may remove the item, in seconds since 1970.
func removal(expires time.Time) int64 {
	return expires.Add(ttlGrace + time.Second - time.Millisecond).Unix()
}

// revision returns the 24 bytes that are compared.
func revision(r fallback.Revision) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(r.Tag)), r.Number)
	return append(b, r.Tag[:]...)
}

// unpack reads an item, possibly without its data.
func unpack(item attributes) (rec fallback.Record, err error) {
	rev, ok := item[revName].(*types.AttributeValueMemberB)
	if !ok || len(rev.Value) != 8+len(rec.Revision.Tag) {
		return rec, errForeign
	}
	if rec.Expires, err = unpackExpiry(item[expiresName]); err != nil {
		return rec, err
	}
	switch sealed := item[sealedName].(type) {
	case nil:
	case *types.AttributeValueMemberB:
		rec.Data = sealed.Value
	default:
		return rec, errForeign
	}
	rec.Revision.Number = binary.BigEndian.Uint64(rev.Value)
	copy(rec.Revision.Tag[:], rev.Value[8:])
	if rec.Revision.Number == 0 || rec.Revision.Number > fallback.MaxNumber || len(rec.Data) > MaxRecord {
		return fallback.Record{}, errForeign
	}
	return rec, nil
}

func unpackExpiry(value types.AttributeValue) (time.Time, error) {
	n, ok := value.(*types.AttributeValueMemberN)
	if !ok {
		return time.Time{}, errForeign
	}
	ms, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || fallback.CheckExpiry(time.UnixMilli(ms)) != nil {
		return time.Time{}, errForeign
	}
	return time.UnixMilli(ms), nil
}

// foreign returns an error if an existing item was written by another program.
func foreign(item attributes) error {
	if len(item) == 0 {
		return nil
	}
	_, err := unpack(item)
	return err
}
