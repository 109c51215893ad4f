package middleware

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// What a request allocates is zeroed for each, and brings the next collection
// nearer: these just fit a size class of the allocator, 176, 1,152 and 2,688 bytes. Who
// needs more raises the figures, and knows what it costs.
func TestAllocationsStayInTheirSizeClass(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("for 64 bits")
	}
	require.LessOrEqual(t, unsafe.Sizeof(writer{}), uintptr(176))
	require.LessOrEqual(t, unsafe.Sizeof(work{}), uintptr(1152))
	require.LessOrEqual(t, unsafe.Sizeof(work{})+unsafe.Sizeof(more{}), uintptr(2688))
}
