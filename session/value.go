package session

import (
	"errors"
	"math"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// maxNesting is the maximum depth of arrays and maps in each other.
const maxNesting = 64

// encMode and decMode encode and decode values. The encoding is deterministic, so
// equal values have equal bytes. Times are RFC 3339 text with nanoseconds under CBOR's
// tag, so they decode as times even into an any. Strings need not be UTF-8, as in Go.
// The decoder does not limit counts, so that it decodes every encoded value. Its input
// is authenticated, and it never allocates more than the remaining bytes allow.
var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	enc := cbor.CoreDetEncOptions()
	enc.Time, enc.TimeTag = cbor.TimeRFC3339Nano, cbor.EncTagRequired
	dec := cbor.DecOptions{
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		IntDec:           cbor.IntDecConvertSignedOrBigInt,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		UTF8:             cbor.UTF8DecodeInvalid,
		TimeTag:          cbor.DecTagOptional,
		MaxNestedLevels:  maxNesting,
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
	}
	e, err1 := enc.EncMode()
	d, err2 := dec.DecMode()
	if err := errors.Join(err1, err2); err != nil {
		panic("carryon: the CBOR options do not fit this version of the library: " + err.Error())
	}
	return e, d
}()

// encode encodes a value and refuses a value that would not decode again. For most
// types the type decides; for the others the value is inspected.
func encode[T any](v T) ([]byte, error) {
	if raw, ok := appendPlain(&v); ok {
		return raw, nil
	}
	s := shapeOf(reflect.TypeFor[T]())
	err := s.fault()
	if s == open {
		held := v // only this copy escapes to the heap
		err = inspect(reflect.ValueOf(&held).Elem(), 0)
	}
	if err != nil {
		return nil, err
	}
	raw, err := encMode.Marshal(v)
	if err == nil && s == open && decMode.Wellformed(raw) != nil {
		return nil, errTooDeep
	}
	return raw, err
}
