package session

import (
	"errors"
	"math"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// maxNesting is how deep values may nest: arrays and maps in one another.
const maxNesting = 64

// The encoding of values: deterministic, so that equal values have equal bytes;
// times as RFC 3339 text with nanoseconds under CBOR's own tag, so that they
// come back as times even into an any; strings as they are, for Go's strings
// need not be UTF-8. Whatever encodes must decode again: the decoder's bounds on
// counts are off (its input was sealed by us, and a count is never believed
// beyond the bytes that follow it).
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

// encode refuses what would not come back. Most types tell by themselves; the
// values of the others are looked through first.
func encode[T any](v T) ([]byte, error) {
	if raw, ok := appendPlain(&v); ok {
		return raw, nil
	}
	s := shapeOf(reflect.TypeFor[T]())
	err := s.fault()
	if s == open {
		held := v // what is looked into lies on the heap
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
