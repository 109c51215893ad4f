package middleware

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// These structs fit a size class of the allocator: 176, 1,408 and 4,096 bytes.
// Every request allocates and clears its own, so larger ones cost time and bring
// the next garbage collection nearer. If a change needs more, raise the sizes
// here.
func TestAllocationsStayInTheirSizeClass(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("skipped: the sizes are for 64-bit systems")
	}
	require.LessOrEqual(t, unsafe.Sizeof(writer{}), uintptr(176))
	require.LessOrEqual(t, unsafe.Sizeof(requestState{}), uintptr(1408))
	require.LessOrEqual(t, unsafe.Sizeof(requestState{})+unsafe.Sizeof(scratch{}), uintptr(4096))
}
