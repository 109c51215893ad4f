package scsstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// The parts of a value before base64 encoding.
const (
	magic     = "c1"
	tagAt     = 8
	expiresAt = tagAt + 16
	idAt      = expiresAt + 8
	lengthOf  = 4 // length of the data
)

// text is a strict encoding: each value has only one form.
var text = base64.RawURLEncoding.Strict()

// longest is the maximum length of a value.
var longest = len(magic) + text.EncodedLen(idAt+1+fallback.MaxID+lengthOf+fallback.MaxRecord)

// errForeign reports a token that another program has written, or a value that
// the engine has truncated.
var errForeign = errors.New("the value was not written by this package, or was truncated; " +
	"use a table or prefix of its own, and a column that is large enough for Options.MaxRecord")

// token is the key of a record in the engine.
type token string

func (s *Store) token(id string) token {
	h := sha256.New()
	h.Write([]byte("carryon scsstore 1\x00"))
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s.opt.Prefix))))
	h.Write([]byte(s.opt.Prefix))
	h.Write([]byte(id))
	return token(text.EncodeToString(h.Sum(nil)))
}

func pack(id string, rec fallback.Record) []byte {
	b := make([]byte, 0, idAt+1+len(id)+lengthOf+len(rec.Data))
	b = binary.BigEndian.AppendUint64(b, rec.Revision.Number)
	b = append(b, rec.Revision.Tag[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(rec.Expires.UnixMilli()))
	b = append(b, byte(len(id)))
	b = append(b, id...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(rec.Data)))
	b = append(b, rec.Data...)
	return text.AppendEncode([]byte(magic), b)
}

// unpack returns a record and its id. The caller owns the record's Data.
func unpack(value []byte) (rec fallback.Record, id string, err error) {
	if len(value) > longest || len(value) < len(magic) || string(value[:len(magic)]) != magic {
		return rec, "", errForeign
	}
	b, err := text.AppendDecode(nil, value[len(magic):])
	if err != nil || len(b) < idAt+1 || text.EncodedLen(len(b)) != len(value)-len(magic) { // the decoder skips line ends
		return rec, "", errForeign
	}
	dataAt := idAt + 1 + int(b[idAt]) + lengthOf
	if len(b) < dataAt || uint64(len(b)-dataAt) != uint64(binary.BigEndian.Uint32(b[dataAt-lengthOf:])) {
		return rec, "", errForeign
	}
	rec.Revision.Number = binary.BigEndian.Uint64(b)
	copy(rec.Revision.Tag[:], b[tagAt:])
	rec.Expires = time.UnixMilli(int64(binary.BigEndian.Uint64(b[expiresAt:])))
	rec.Data = b[dataAt:len(b):len(b)]
	return rec, string(b[idAt+1 : dataAt-lengthOf]), nil
}
