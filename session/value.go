package session

import (
	"encoding"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The encoding of values: deterministic, so that equal values have equal bytes;
// times as RFC 3339 text with nanoseconds under CBOR's own tag, so that they
// come back as times even into an any; strings as they are, for Go's strings
// need not be UTF-8.
var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	enc := cbor.CoreDetEncOptions()
	enc.Time, enc.TimeTag = cbor.TimeRFC3339Nano, cbor.EncTagRequired
	dec := cbor.DecOptions{
		DefaultMapType:  reflect.TypeFor[map[string]any](),
		IntDec:          cbor.IntDecConvertSignedOrBigInt,
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		UTF8:            cbor.UTF8DecodeInvalid,
		TimeTag:         cbor.DecTagOptional,
		MaxNestedLevels: 64,
	}
	e, err1 := enc.EncMode()
	d, err2 := dec.DecMode()
	if err := errors.Join(err1, err2); err != nil {
		panic("carryon: the CBOR options do not fit this version of the library: " + err.Error())
	}
	return e, d
}()

var errNoExported = errors.New("a struct without exported fields would lose its content; export them, " +
	"or give the type MarshalCBOR or MarshalBinary with their inverses")

func encode[T any](v T) ([]byte, error) {
	if t := reflect.TypeFor[T](); !storable(t) {
		return nil, errNoExported
	}
	raw, err := encMode.Marshal(v)
	if err == nil && reflect.TypeFor[T]().Kind() == reflect.Interface && reflect.ValueOf(&v).Elem().Elem().IsValid() {
		if !storable(reflect.ValueOf(&v).Elem().Elem().Type()) {
			return nil, errNoExported
		}
	}
	return raw, err
}

var known sync.Map // reflect.Type -> bool: the check walks a type once

// storable refuses a struct that has fields but none that an encoder sees.
func storable(t reflect.Type) bool {
	if ok, found := known.Load(t); found {
		return ok.(bool)
	}
	ok := hasContent(t)
	known.Store(t, ok)
	return ok
}

func hasContent(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() == 0 || marshals(t) {
		return true
	}
	for f := range t.Fields() {
		if f.IsExported() || f.Anonymous {
			return true
		}
	}
	return false
}

func marshals(t reflect.Type) bool {
	for _, m := range []reflect.Type{
		reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	} {
		if t.Implements(m) || reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	return t == reflect.TypeFor[time.Time]()
}
