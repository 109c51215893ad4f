package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/bench"
)

func TestTablesNameEveryContestantAndItsRatio(t *testing.T) {
	rigs, err := rigsOf(bench.Read, 120, pattern(t, "read/120B/(floor-F2|gorilla)"))
	require.NoError(t, err)
	require.Len(t, rigs, 2)

	var out strings.Builder
	printTable(&out, bench.Read, 120, measure(rigs, 2, time.Millisecond))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Equal(t, "### read, 120B", lines[0])
	require.Len(t, lines, 6)
	for _, line := range lines[2:] {
		require.Equal(t, strings.Count(lines[2], "|"), strings.Count(line, "|"), line)
		require.Len(t, line, len(lines[2]))
	}
	require.Contains(t, lines[4], "| floor-F2 |")
	require.Contains(t, lines[4], " 1.00 |")
	require.Regexp(t, `- \|$`, lines[4], "F4 was not measured")
	require.Contains(t, lines[5], "| gorilla  |")
}

func TestRunRefusesBadFlags(t *testing.T) {
	require.ErrorContains(t, run(0, time.Millisecond, ""), "-rounds is 0")
	require.Error(t, run(1, time.Millisecond, "("))
}

func pattern(t *testing.T, text string) *regexp.Regexp {
	t.Helper()
	re, err := regexp.Compile(text)
	require.NoError(t, err)
	return re
}
