package session

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// discreet returns the text of an encoder's or decoder's error without quotes from the
// value. It keeps names of types and fields.
func discreet(err error) string {
	switch e := err.(type) {
	case *cbor.UnmarshalTypeError: // it may go on with the number or the text
		return (&cbor.UnmarshalTypeError{CBORType: e.CBORType, GoType: e.GoType, StructFieldName: e.StructFieldName}).Error()
	case *cbor.UnsupportedTypeError, *cbor.UnsupportedValueError, *cbor.InvalidMapKeyTypeError:
		return e.Error()
	}
	for _, ours := range []error{errNoExported, errEmbedded, errTooDeep, errMethods} {
		if errors.Is(err, ours) {
			return ours.Error()
		}
	}
	return fmt.Sprintf("see errors.Unwrap: the cause (%T) may quote the value", err)
}
