package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// These are the limits for a program that only links sessions.
func TestStartStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("links three programs")
	}
	without, err := measure(t.TempDir(), "without")
	require.NoError(t, err)
	with, err := measure(t.TempDir(), "with")
	require.NoError(t, err)
	t.Logf("without %+v, with %+v", without, with)
	usual, err := measure(t.TempDir(), "usual")
	require.NoError(t, err)
	require.Less(t, with.size-without.size, int64(1_750_000), "bytes of a stripped binary")
	require.Less(t, with.size-usual.size, int64(1_360_000), "bytes more than a program with log/slog and encoding/json")
	require.LessOrEqual(t, with.allocs-without.allocs, int64(100), "allocations of initialisation")
}
