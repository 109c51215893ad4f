package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/bench"
)

func TestRunWritesARecordForEveryCell(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out, 2, time.Millisecond, "read/(120B|8KB)/(floor-F2|gorilla)$|capacity/gorilla$"))
	all, err := bench.ReadRecords(strings.NewReader(out.String()))
	require.NoError(t, err)
	require.Len(t, all, 6, out.String())

	require.Equal(t, "run", all[0].Kind)
	require.Equal(t, 2, all[0].Run.Rounds)
	require.NotEmpty(t, all[0].Run.Go)
	cells := map[string]bench.Record{}
	for _, r := range all[1:5] {
		require.Equal(t, "cell", r.Kind)
		require.Equal(t, bench.Read, r.Scenario)
		cells[r.Size.String()+" "+r.Contestant] = r
	}
	require.Positive(t, cells["120B floor-F2"].CPU)
	require.LessOrEqual(t, cells["120B floor-F2"].CPUMin, cells["120B floor-F2"].CPU)
	require.Positive(t, cells["8KB floor-F2"].Wire)
	require.Greater(t, cells["120B gorilla"].Allocs, 100.0)
	require.Equal(t, "does not fit", cells["8KB gorilla"].Missing)
	require.Equal(t, "capacity", all[5].Kind)
	require.Greater(t, all[5].Size, bench.Size(2500))
}

func TestRunRefusesBadFlags(t *testing.T) {
	require.ErrorContains(t, run(nil, 0, time.Millisecond, ""), "-rounds is 0")
	require.Error(t, run(nil, 1, time.Millisecond, "("))
}
