package middleware

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// What a request allocates is zeroed for each, and brings the next collection
// nearer: these fit a size class of the allocator, 176, 1,408 and 4,096 bytes. A change that
// needs more raises the figures.
func TestAllocationsStayInTheirSizeClass(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("for 64 bits")
	}
	require.LessOrEqual(t, unsafe.Sizeof(writer{}), uintptr(176))
	require.LessOrEqual(t, unsafe.Sizeof(requestState{}), uintptr(1408))
	require.LessOrEqual(t, unsafe.Sizeof(requestState{})+unsafe.Sizeof(scratch{}), uintptr(4096))
}
