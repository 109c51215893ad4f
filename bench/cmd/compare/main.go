// Command compare measures every contestant in interleaved rounds and prints
// medians, and their ratios to the floors of the same run.
//
//	go run ./bench/cmd/compare [-rounds 15] [-for 40ms] [-only read/1KB]
//
// A noisy minute falls on all contestants alike. CPU time is the process's own,
// the garbage collector's included. Progress goes to stderr, the tables to
// stdout as Markdown.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/carryon-go/carryon/bench"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often each cell is measured")
	each := flag.Duration("for", 40*time.Millisecond, "how long each measurement takes")
	only := flag.String("only", "", "a regular expression over scenario/size/contestant")
	flag.Parse()
	drop := bench.Ballast()
	defer drop()
	if err := run(*rounds, *each, *only); err != nil {
		fmt.Fprintln(os.Stderr, "compare: error:", err)
		os.Exit(1)
	}
}

func run(rounds int, each time.Duration, only string) error {
	filter, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if rounds < 1 {
		return fmt.Errorf("-rounds is %d: at least one is needed", rounds)
	}
	fmt.Printf("%s, %s/%s, GOMAXPROCS %d, medians of %d rounds of %v\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), rounds, each)
	for _, scenario := range bench.Scenarios {
		for _, size := range bench.Sizes {
			rigs, err := rigsOf(scenario, size, filter)
			if err != nil {
				return err
			}
			if len(rigs) == 0 {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s, %v: %d contestants\n", scenario, size, len(rigs))
			printTable(os.Stdout, scenario, size, measure(rigs, rounds, each))
		}
	}
	return nil
}

// rigsOf builds one group of cells: those that are compared with one another.
func rigsOf(scenario bench.Scenario, size bench.Size, filter *regexp.Regexp) ([]*bench.Rig, error) {
	var rigs []*bench.Rig
	for _, contestant := range bench.Contestants() {
		cell := bench.Cell{Scenario: scenario, Size: size, Contestant: contestant}
		if !filter.MatchString(cell.String()) {
			continue
		}
		rig, err := bench.NewRig(cell)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", cell, err)
		}
		if rig != nil {
			rigs = append(rigs, rig)
		}
	}
	return rigs, nil
}

// row is one contestant's line of a table.
type row struct {
	rig *bench.Rig
	bench.Sample
}

// measure gives every rig its turn in every round, each round beginning with
// another one.
func measure(rigs []*bench.Rig, rounds int, each time.Duration) []row {
	runs := make([]int, len(rigs))
	samples := make([][]bench.Sample, len(rigs))
	for i, rig := range rigs {
		runs[i] = rig.Runs(each)
	}
	for round := range rounds {
		for turn := range rigs {
			i := (round + turn) % len(rigs)
			samples[i] = append(samples[i], rigs[i].Measure(runs[i]))
		}
	}
	rows := make([]row, len(rigs))
	for i, rig := range rigs {
		rows[i] = row{rig, bench.Median(samples[i])}
	}
	return rows
}

// baselines are the columns of ratios: what only passes a session by is held
// against an empty middleware, what opens one against the cryptography.
func baselines(scenario bench.Scenario) []string {
	if scenario == bench.Read || scenario == bench.Change {
		return []string{bench.FloorF2, bench.FloorF4}
	}
	return []string{bench.Bare}
}

func printTable(out io.Writer, scenario bench.Scenario, size bench.Size, rows []row) {
	names := baselines(scenario)
	head := []string{"", "CPU ns/op", "wall ns/op", "allocs", "alloc B", "cookie B"}
	for _, name := range names {
		head = append(head, "x "+name)
	}
	table := [][]string{head}
	for _, r := range rows {
		line := []string{
			r.rig.Contestant.Name,
			fmt.Sprintf("%.0f", r.CPU),
			fmt.Sprintf("%.0f", r.Wall),
			fmt.Sprintf("%.0f", r.Allocs),
			fmt.Sprintf("%.0f", r.Bytes),
			fmt.Sprint(r.rig.WireBytes),
		}
		for _, name := range names {
			line = append(line, ratio(r, rows, name))
		}
		table = append(table, line)
	}
	fmt.Fprintf(out, "\n### %s, %v\n\n", scenario, size)
	writeMarkdown(out, table)
}

// ratio is r's CPU time over that of the named contestant, "-" where it took no part.
func ratio(r row, rows []row, name string) string {
	for _, base := range rows {
		if base.rig.Contestant.Name == name && base.CPU > 0 {
			return fmt.Sprintf("%.2f", r.CPU/base.CPU)
		}
	}
	return "-"
}

// writeMarkdown pads every column, names to the left and figures to the right.
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

// rule is the line under the head.
func rule(widths []int) string {
	line := "|" + strings.Repeat("-", widths[0]+2) + "|"
	for _, width := range widths[1:] {
		line += strings.Repeat("-", width+1) + ":|"
	}
	return line
}
