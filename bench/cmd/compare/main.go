// Command compare measures every contestant in interleaved rounds, and writes
// the medians as lines of JSON. cmd/tables makes tables of them.
//
//	go run ./bench/cmd/compare [-rounds 15] [-for 40ms] [-only read/1KB] > figures.jsonl
//
// Interleaving spreads noise over all contestants. CPU time is that of the
// whole process, including the garbage collector. Progress goes to standard
// error.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"regexp"
	"time"

	"github.com/carryon-go/carryon/bench"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often each cell is measured")
	each := flag.Duration("for", 40*time.Millisecond, "how long each measurement takes")
	only := flag.String("only", "", "a regular expression over scenario/size/contestant, or capacity/contestant")
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // gin's middleware logs cookies that it refuses
	drop := bench.Ballast()
	defer drop()
	if err := run(os.Stdout, *rounds, *each, *only); err != nil {
		fmt.Fprintln(os.Stderr, "compare: error:", err)
		os.Exit(1)
	}
}

func run(to io.Writer, rounds int, each time.Duration, only string) error {
	filter, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if rounds < 1 {
		return fmt.Errorf("-rounds is %d: at least one is needed", rounds)
	}
	out := json.NewEncoder(to)
	if err := out.Encode(bench.Record{Kind: "run", Run: bench.NewRun(rounds, each)}); err != nil {
		return err
	}
	for _, scenario := range bench.Scenarios {
		for _, size := range bench.Sizes {
			if err := group(out, scenario, size, filter, rounds, each); err != nil {
				return err
			}
		}
	}
	return capacities(out, filter)
}

// group measures the cells that are compared with each other.
func group(out *json.Encoder, scenario bench.Scenario, size bench.Size, filter *regexp.Regexp, rounds int, each time.Duration) error {
	rigs, missing, err := rigsOf(scenario, size, filter)
	if err != nil {
		return err
	}
	defer func() {
		for _, rig := range rigs {
			rig.Close()
		}
	}()
	if len(rigs) > 0 {
		fmt.Fprintf(os.Stderr, "%s, %v: %d contestants\n", scenario, size, len(rigs))
	}
	for _, r := range append(measure(rigs, rounds, each), missing...) {
		r.Kind, r.Scenario, r.Size = "cell", scenario, size
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// rigsOf builds a group of cells, and returns records for contestants that are
// missing from it.
func rigsOf(scenario bench.Scenario, size bench.Size, filter *regexp.Regexp) (rigs []*bench.Rig, missing []bench.Record, err error) {
	for _, contestant := range bench.Contestants() {
		cell := bench.Cell{Scenario: scenario, Size: size, Contestant: contestant}
		if !filter.MatchString(cell.String()) {
			continue
		}
		rig, err := bench.NewRig(cell)
		switch {
		case errors.Is(err, bench.ErrDoesNotFit):
			missing = append(missing, bench.Record{Contestant: contestant.Name, Missing: "does not fit"})
		case errors.Is(err, bench.ErrAbsent):
			fmt.Fprintf(os.Stderr, "%v: skipped: %v\n", cell, err)
			missing = append(missing, bench.Record{Contestant: contestant.Name, Missing: "not measured"})
		case err != nil:
			return rigs, nil, fmt.Errorf("%v: %w", cell, err)
		case rig != nil:
			rigs = append(rigs, rig)
		}
	}
	return rigs, missing, nil
}

// measure runs every rig once in each round. Each round begins with another
// rig.
func measure(rigs []*bench.Rig, rounds int, each time.Duration) []bench.Record {
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
	records := make([]bench.Record, len(rigs))
	for i, rig := range rigs {
		median, least := bench.Median(samples[i]), math.Inf(1)
		for _, s := range samples[i] {
			least = min(least, s.CPU)
		}
		records[i] = bench.Record{Contestant: rig.Contestant.Name, Sample: &median, CPUMin: least, Wire: rig.WireBytes}
	}
	return records
}

// capacities finds the largest session that each contestant can store in one
// cookie.
func capacities(out *json.Encoder, filter *regexp.Regexp) error {
	for _, c := range bench.Contestants() {
		if !filter.MatchString("capacity/" + c.Name) {
			continue
		}
		size, err := bench.Capacity(c)
		if err != nil && !errors.Is(err, bench.ErrAbsent) {
			return err
		}
		if size == 0 {
			continue
		}
		if err := out.Encode(bench.Record{Kind: "capacity", Contestant: c.Name, Size: size}); err != nil {
			return err
		}
	}
	return nil
}
