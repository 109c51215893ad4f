package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/bench"
)

const figures = `{"kind":"run","run":{"date":"2026-01-02","go":"go1.26","platform":"linux/amd64","procs":2,"rounds":3,"each":"1ms","modules":{"b":"v2","a":"v1"}}}
{"kind":"cell","scenario":"read","size":8000,"contestant":"gorilla","missing":"does not fit"}
{"kind":"cell","scenario":"read","size":8000,"contestant":"carryon","cpu_ns":300,"wall_ns":310,"allocs":16,"alloc_bytes":99,"cpu_min_ns":150,"wire_bytes":9000}
{"kind":"cell","scenario":"read","size":8000,"contestant":"floor-F2","cpu_ns":200,"wall_ns":200,"allocs":3,"alloc_bytes":9,"cpu_min_ns":100,"wire_bytes":8000}
{"kind":"capacity","contestant":"carryon","size":2900}
`

func TestTables(t *testing.T) {
	records, err := bench.ReadRecords(strings.NewReader(figures))
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, write(&out, records))
	text := out.String()
	require.Contains(t, text, "2026-01-02: go1.26 linux/amd64")
	require.Contains(t, text, "- a v1\n- b v2\n")

	_, table, found := strings.Cut(text, "## read, 8KB\n\n")
	require.True(t, found)
	lines := strings.Split(table, "\n")[:5]
	for _, line := range lines {
		require.Len(t, line, len(lines[0]))
	}
	require.Contains(t, lines[2], "| floor-F2 |")
	require.Regexp(t, `\| carryon +\| +300 \| +310 \| +16 \| +99 \| +9000 \| +1\.50 \| +1\.50 \| +- \| +- \|`, lines[3])
	require.Regexp(t, `\| gorilla +\|( +- \|){9}`, lines[4])
	require.Contains(t, text, "| carryon    |       2900 |")
}

func TestRecordsMustBeOurs(t *testing.T) {
	_, err := bench.ReadRecords(strings.NewReader(figures + "BenchmarkX 1 ns/op\n"))
	require.ErrorContains(t, err, "record 6 is not a record of cmd/compare")
}
