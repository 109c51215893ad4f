package session

import (
	"encoding"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

var (
	errNoExported = errors.New("a struct without exported fields would lose its content; export them, " +
		"or give the type MarshalCBOR or MarshalBinary with their inverses")
	errEmbedded = errors.New("an embedded pointer to a struct of an unexported type cannot be filled when it is read back; " +
		"embed the struct itself, or export its type")
	errTooDeep = errors.New("it nests deeper than 64 levels, or contains itself; store something flatter")
	errMethods = errors.New("a value in an interface with methods cannot be decoded; " +
		"store the concrete type, or any")
)

// shape says what the type of a value reveals about the value's encoding.
type shape byte

const (
	closed  shape = iota + 1 // the type alone shows that every value can be encoded
	open                     // a value can hold any type, or itself
	lossy                    // it contains a struct whose content the encoder does not see
	blocked                  // it contains a struct that the decoder cannot fill
)

// fault returns the error for values of this shape, or nil if they can be encoded.
func (s shape) fault() error {
	switch s {
	case lossy:
		return errNoExported
	case blocked:
		return errEmbedded
	}
	return nil
}

var shapes sync.Map // reflect.Type -> shape

func shapeOf(t reflect.Type) shape {
	if s, found := shapes.Load(t); found {
		return s.(shape)
	}
	s := walk(t, nil)
	shapes.Store(t, s)
	return s
}

// walk returns the shape of t. path contains the types that enclose t.
func walk(t reflect.Type, path []reflect.Type) shape {
	for _, outer := range path {
		if outer == t {
			return open // recursive: a value may be deep, or a circle
		}
	}
	path = append(path, t)
	switch {
	case t.Kind() == reflect.Interface:
		return open
	case marshals(t):
		return closed
	case t.Kind() == reflect.Map:
		return max(walk(t.Key(), path), walk(t.Elem(), path))
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		return walk(t.Elem(), path)
	case t.Kind() == reflect.Struct:
		return walkStruct(t, path)
	}
	return closed // or a channel or a function, which the encoder refuses
}

func walkStruct(t reflect.Type, path []reflect.Type) shape {
	fields, s := visible(t), closed
	if t.NumField() > 0 && len(fields) == 0 {
		return lossy
	}
	for _, f := range reflect.VisibleFields(t) {
		if flattened(f) && f.Type.Kind() == reflect.Pointer && !f.IsExported() {
			return blocked
		}
	}
	for _, f := range fields {
		s = max(s, walk(f.Type, path))
	}
	return s
}

// visible returns the fields of a struct that the encoder sees, including those of
// embedded structs.
func visible(t reflect.Type) (fields []reflect.StructField) {
	for _, f := range reflect.VisibleFields(t) {
		if f.IsExported() && tag(f) != "-" && !flattened(f) {
			fields = append(fields, f)
		}
	}
	return fields
}

// tag returns the struct tag of f that the encoder uses.
func tag(f reflect.StructField) string {
	if s, ok := f.Tag.Lookup("cbor"); ok {
		return s
	}
	return f.Tag.Get("json")
}

// flattened reports whether f is an embedded struct whose fields are encoded in its
// place.
func flattened(f reflect.StructField) bool {
	inner := f.Type
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	unnamed := strings.HasPrefix(tag(f)+",", ",")
	return f.Anonymous && inner.Kind() == reflect.Struct && unnamed && !marshals(inner)
}

// marshals reports whether a type has its own method for encoding.
func marshals(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[big.Int]() {
		return true
	}
	for _, m := range []reflect.Type{reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[encoding.BinaryMarshaler]()} {
		if reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	return false
}

// inspect returns an error if a value of an open type could not be decoded again. It
// also limits the depth, because the encoder would not end on a value that contains
// itself. Pointers count, too, so the limit is higher than that of the encoding.
func inspect(v reflect.Value, depth int) error {
	if depth > 2*maxNesting {
		return errTooDeep
	}
	if s := shapeOf(v.Type()); s != open {
		return s.fault()
	}
	switch v.Kind() {
	case reflect.Interface:
		return inspectInterface(v, depth)
	case reflect.Pointer:
		if !v.IsNil() {
			return inspect(v.Elem(), depth+1)
		}
	case reflect.Struct:
		return inspectStruct(v, depth)
	case reflect.Map:
		return inspectMap(v, depth)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := inspect(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func inspectInterface(v reflect.Value, depth int) error {
	switch {
	case v.IsNil():
		return nil
	case v.Type().NumMethod() > 0:
		return errMethods
	}
	return inspect(v.Elem(), depth+1)
}

func inspectStruct(v reflect.Value, depth int) error {
	for _, f := range visible(v.Type()) {
		field, err := v.FieldByIndexErr(f.Index)
		if err != nil {
			continue // in an embedded pointer that is nil
		}
		if err := inspect(field, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func inspectMap(v reflect.Value, depth int) error {
	for entry := v.MapRange(); entry.Next(); {
		for _, part := range []reflect.Value{entry.Key(), entry.Value()} {
			if err := inspect(part, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
