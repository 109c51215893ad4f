// Command tables converts the output of cmd/compare to Markdown.
//
//	go run ./bench/cmd/tables < figures.jsonl > bench/RESULTS.md
package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/carryon-go/carryon/bench"
)

func main() {
	records, err := bench.ReadRecords(os.Stdin)
	if err == nil {
		err = write(os.Stdout, records)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tables: error:", err)
		os.Exit(1)
	}
}

func write(to io.Writer, records []bench.Record) error {
	var out strings.Builder
	out.WriteString("# Results\n\nMade by `go run ./bench/cmd/compare` and `go run ./bench/cmd/tables`; README.md explains the measurements.\n")
	for _, r := range records {
		if r.Run != nil {
			writeRun(&out, r.Run)
		}
	}
	writeContestants(&out)
	for _, scenario := range bench.Scenarios {
		for _, size := range bench.Sizes {
			rows := rowsOf(records, scenario, size)
			if len(rows) > 0 {
				fmt.Fprintf(&out, "\n## %s, %v\n\n", scenario, size)
				writeMarkdown(&out, cellTable(scenario, rows))
			}
		}
	}
	writeCapacities(&out, records)
	_, err := io.WriteString(to, out.String())
	return err
}

func writeRun(out io.Writer, r *bench.Run) {
	fmt.Fprintf(out, "\n%s: %s %s, GOMAXPROCS %d, %s; medians of %d interleaved rounds of %s, each ratio followed by that of the best rounds.\n\n",
		r.Date, r.Go, r.Platform, r.Procs, cmp.Or(r.CPU, "unknown processor"), r.Rounds, r.Each)
	for _, path := range slices.Sorted(maps.Keys(r.Modules)) {
		fmt.Fprintf(out, "- %s %s\n", path, r.Modules[path])
	}
}

func writeContestants(out io.Writer) {
	table := [][]string{{"contestant", "what it is"}}
	for _, c := range bench.Contestants() {
		table = append(table, []string{c.Name, c.About})
	}
	fmt.Fprintln(out)
	for i, line := range table {
		fmt.Fprintf(out, "| %s | %s |\n", line[0], line[1])
		if i == 0 {
			fmt.Fprintln(out, "|---|---|")
		}
	}
}

func rowsOf(records []bench.Record, scenario bench.Scenario, size bench.Size) (rows []bench.Record) {
	for _, c := range bench.Contestants() {
		for _, r := range records {
			if r.Kind == "cell" && r.Scenario == scenario && r.Size == size && r.Contestant == c.Name {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// baselines returns the contestants to compare with: an empty middleware for
// requests that open no session, and otherwise the cryptography alone.
func baselines(scenario bench.Scenario) []string {
	if scenario == bench.Untouched || scenario == bench.Anonymous {
		return []string{bench.Bare}
	}
	return []string{bench.FloorF2, bench.FloorF4}
}

func cellTable(scenario bench.Scenario, rows []bench.Record) [][]string {
	names := baselines(scenario)
	head := []string{"", "CPU ns", "wall ns", "allocs", "alloc B", "cookie B"}
	for _, name := range names {
		head = append(head, "x "+name, "best")
	}
	table := [][]string{head}
	for _, r := range rows {
		line := []string{r.Contestant}
		if r.Sample == nil {
			line = append(line, "-", "-", "-", "-", "-")
		} else {
			line = append(line, whole(r.CPU), whole(r.Wall), whole(r.Allocs), whole(r.Bytes), fmt.Sprint(r.Wire))
		}
		for _, name := range names {
			line = append(line, ratios(r, rows, name)...)
		}
		table = append(table, line)
	}
	return table
}

func whole(f float64) string { return fmt.Sprintf("%.0f", f) }

// ratios returns r's CPU time divided by that of the named contestant, for the
// medians and for the best rounds; "-" if one of them has no figures.
func ratios(r bench.Record, rows []bench.Record, name string) []string {
	for _, base := range rows {
		if base.Contestant == name && base.Sample != nil && r.Sample != nil {
			return []string{fmt.Sprintf("%.2f", r.CPU/base.CPU), fmt.Sprintf("%.2f", r.CPUMin/base.CPUMin)}
		}
	}
	return []string{"-", "-"}
}

func writeCapacities(out io.Writer, records []bench.Record) {
	table := [][]string{{"contestant", "JSON bytes"}}
	for _, r := range records {
		if r.Kind == "capacity" {
			table = append(table, []string{r.Contestant, fmt.Sprint(int(r.Size))})
		}
	}
	if len(table) > 1 {
		fmt.Fprint(out, "\n## The largest session that fits one cookie of 4,096 bytes\n\n")
		writeMarkdown(out, table)
	}
}

// writeMarkdown writes a padded table, with names to the left and figures to
// the right.
func writeMarkdown(out io.Writer, table [][]string) {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, text := range line {
			widths[i] = max(widths[i], len(text))
		}
	}
	for n, line := range table {
		for i, text := range line {
			if i == 0 {
				fmt.Fprintf(out, "| %-*s |", widths[i], text)
				continue
			}
			fmt.Fprintf(out, " %*s |", widths[i], text)
		}
		fmt.Fprintln(out)
		if n == 0 {
			fmt.Fprintln(out, rule(widths))
		}
	}
}

// rule returns the line below the heading.
func rule(widths []int) string {
	line := "|" + strings.Repeat("-", widths[0]+2) + "|"
	for _, width := range widths[1:] {
		line += strings.Repeat("-", width+1) + ":|"
	}
	return line
}
