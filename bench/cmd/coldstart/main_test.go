package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The functions work, and the one with sessions sets a cookie in its first
// response.
func TestFunctions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three functions")
	}
	t.Chdir("../../..")
	keys, err := ring()
	require.NoError(t, err)
	dir := t.TempDir()
	sizes := map[string]int64{}
	for _, name := range contestants {
		sizes[name], err = build(dir, name)
		require.NoError(t, err)
		_, cpu, err := launch(filepath.Join(dir, name), keys)
		require.NoError(t, err)
		require.Positive(t, cpu)
		require.Contains(t, initialisation(filepath.Join(dir, name), keys), "allocations")
	}
	require.Contains(t, ready(filepath.Join(dir, "session"), keys), "allocations")
	require.Less(t, sizes["session"]-sizes["plain"], int64(1_350_000), "bench/README.md states how much sessions add")
}
