package mongostore

import (
	"bytes"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/carryon-go/carryon/fallback"
)

// The fields of a document.
const (
	fieldID      = "_id"
	fieldNumber  = "number"
	fieldTag     = "tag"
	fieldData    = "data"
	fieldExpires = "expires"
)

// headFields are the fields that [Store.head] reads.
var headFields = bson.D{{Key: fieldNumber, Value: 1}, {Key: fieldTag, Value: 1}, {Key: fieldExpires, Value: 1}}

// byID returns the filter for a record, which is also the start of its
// document.
func byID(id string) bson.D { return bson.D{{Key: fieldID, Value: binary([]byte(id))}} }

// live returns the filter for a record that has not expired. A comparison with
// a date matches only dates, so it never matches a document of another
// program.
func live(id string, now time.Time) bson.D { return append(byID(id), unexpired(now)...) }

func unexpired(now time.Time) bson.D { return compare("$gt", now) }

// atRevision returns the filter for a live record at a revision.
func atRevision(id string, r fallback.Revision, now time.Time) bson.D {
	return append(live(id, now), revision(r)...)
}

// expired returns the filter for an expired record.
func expired(id string, now time.Time) bson.D { return append(byID(id), compare("$lte", now)...) }

func compare(operator string, now time.Time) bson.D {
	return bson.D{{Key: fieldExpires, Value: bson.D{{Key: operator, Value: date(now)}}}}
}

func revision(r fallback.Revision) bson.D {
	return bson.D{{Key: fieldNumber, Value: int64(r.Number)}, {Key: fieldTag, Value: binary(r.Tag[:])}}
}

func binary(b []byte) bson.Binary { return bson.Binary{Subtype: bson.TypeBinaryGeneric, Data: b} }

// date converts a time to BSON: milliseconds since 1970, rounded down.
func date(t time.Time) bson.DateTime { return bson.DateTime(t.UnixMilli()) }

// pack returns the document of a record without its _id.
func pack(rec fallback.Record) bson.D {
	return append(revision(rec.Revision),
		bson.E{Key: fieldData, Value: binary(rec.Data)}, bson.E{Key: fieldExpires, Value: date(rec.Expires)})
}

func unpack(doc bson.Raw) (fallback.Record, error) {
	rec, err := unpackHead(doc)
	if err != nil {
		return rec, err
	}
	data, ok := binaryField(doc, fieldData)
	if !ok || len(data) > fallback.MaxRecord {
		return fallback.Record{}, errForeign
	}
	rec.Data = bytes.Clone(data)
	return rec, nil
}

func unpackHead(doc bson.Raw) (rec fallback.Record, err error) {
	number, isNumber := doc.Lookup(fieldNumber).Int64OK()
	tag, isTag := binaryField(doc, fieldTag)
	expires, isDate := doc.Lookup(fieldExpires).DateTimeOK()
	if !isNumber || !isTag || !isDate || number < 1 || len(tag) != len(rec.Revision.Tag) {
		return rec, errForeign
	}
	rec.Revision.Number, rec.Expires = uint64(number), time.UnixMilli(expires)
	copy(rec.Revision.Tag[:], tag)
	return rec, nil
}

func binaryField(doc bson.Raw, name string) ([]byte, bool) {
	subtype, data, ok := doc.Lookup(name).BinaryOK()
	return data, ok && subtype == bson.TypeBinaryGeneric
}
