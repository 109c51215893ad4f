package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// The offsets of the parts in a stored record. The expiry is decimal because
// Lua has no 64-bit integers and compares strings by the server's locale. Its
// numbers represent milliseconds until 9999 exactly.
const (
	magic     = "c1"
	numberAt  = len(magic)
	tagAt     = numberAt + 8
	expiresAt = tagAt + 16
	dataAt    = expiresAt + 16 // 42, which the scripts also use
)

// errForeign reports a key that another program has written.
var errForeign = errors.New("the key holds no record of this package; use another prefix")

func pack(rec fallback.Record) []byte {
	b := make([]byte, 0, dataAt+len(rec.Data))
	b = append(b, magic...)
	b = append(b, revision(rec.Revision)...)
	b = append(b, digits(rec.Expires)...)
	return append(b, rec.Data...)
}

// revision returns the 24 bytes that are compared, or none for the zero
// revision.
func revision(r fallback.Revision) []byte {
	if r.IsZero() {
		return []byte{}
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, expiresAt-numberAt), r.Number)
	return append(b, r.Tag[:]...)
}

func digits(t time.Time) string { return fmt.Sprintf("%016d", t.UnixMilli()) }

func unpack(b []byte) (rec fallback.Record, err error) {
	if len(b) < dataAt || len(b) > dataAt+fallback.MaxRecord || string(b[:numberAt]) != magic {
		return rec, errForeign
	}
	ms, err := strconv.ParseUint(string(b[expiresAt:dataAt]), 10, 63)
	if err != nil {
		return rec, errForeign
	}
	rec.Revision.Number = binary.BigEndian.Uint64(b[numberAt:tagAt])
	copy(rec.Revision.Tag[:], b[tagAt:expiresAt])
	rec.Expires, rec.Data = time.UnixMilli(int64(ms)), b[dataAt:]
	return rec, nil
}
