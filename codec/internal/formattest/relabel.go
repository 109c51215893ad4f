package formattest

import (
	"reflect"
	"unsafe"

	"github.com/carryon-go/carryon/keyring"
)

// relabel makes the keys of a ring keys of another format, as long as no ring is
// read that says so itself.
func relabel(ring *keyring.Ring, format byte) {
	for _, k := range ring.Keys() {
		field := reflect.ValueOf(k).Elem().FieldByName("format")
		*(*byte)(unsafe.Pointer(field.UnsafeAddr())) = format
	}
}
