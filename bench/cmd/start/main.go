// Command start measures what sessions cost a program that links them without
// using them: the size of its stripped binary, and the initialisation of its
// packages.
//
//	go run ./bench/cmd/start
//
// It builds three servers: with sessions, without, and without sessions but
// with log/slog and JSON, which most programs link anyway and sessions need. If
// valgrind is installed, it also counts the instructions of a start.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

func main() {
	dir, err := os.MkdirTemp("", "carryon-start")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = report(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start: error:", err)
		os.Exit(1)
	}
}

func report(dir string) error {
	without, err := measure(dir, "without")
	if err != nil {
		return err
	}
	usual, err := measure(dir, "usual")
	if err != nil {
		return err
	}
	with, err := measure(dir, "with")
	if err != nil {
		return err
	}
	for name, f := range map[string]*figures{"without": &without, "usual": &usual, "with": &with} {
		if f.instructions, err = instructions(dir, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	fmt.Printf("| | without | with slog and JSON | with sessions | more than without |\n|---|---:|---:|---:|---:|\n")
	line := func(what string, of func(figures) int64) {
		fmt.Printf("| %s | %d | %d | %d | %d |\n", what, of(without), of(usual), of(with), of(with)-of(without))
	}
	line("stripped binary, bytes", func(f figures) int64 { return f.size })
	line("allocations of initialisation", func(f figures) int64 { return f.allocs })
	line("bytes allocated by initialisation", func(f figures) int64 { return f.bytes })
	if with.instructions > 0 {
		line("instructions of start and end", func(f figures) int64 { return f.instructions })
	}
	return nil
}

// figures are the measurements of a program.
type figures struct{ size, allocs, bytes, instructions int64 }

const packages = "github.com/carryon-go/carryon/bench/cmd/start/"

// measure builds and runs a program, and returns its figures.
func measure(dir, name string) (f figures, err error) {
	program := filepath.Join(dir, name)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, packages+name)
	if out, err := build.CombinedOutput(); err != nil {
		return f, fmt.Errorf("go build: %w\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		return f, err
	}
	f.size = info.Size()
	f.allocs, f.bytes, err = inits(program)
	return f, err
}

var initLine = regexp.MustCompile(`(?m)^init \S+ @.* (\d+) bytes, (\d+) allocs$`)

// inits sums the runtime's trace of package initialisation.
func inits(program string) (allocs, size int64, err error) {
	run := exec.Command(program)
	run.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	trace, err := run.CombinedOutput()
	if err != nil {
		return 0, 0, err
	}
	lines := initLine.FindAllSubmatch(trace, -1)
	if len(lines) == 0 {
		return 0, 0, fmt.Errorf("the output has no trace of package initialisation: %s", trace)
	}
	for _, line := range lines {
		size += number(line[1])
		allocs += number(line[2])
	}
	return allocs, size, nil
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions counts the instructions of a run, or returns 0 without valgrind.
// The count varies because of the runtime, so it returns the minimum of three
// runs.
func instructions(dir, program string) (least int64, err error) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return 0, nil
	}
	for range 3 {
		run := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file="+filepath.Join(dir, "callgrind"), program)
		run.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off")
		out, err := run.CombinedOutput()
		found := collected.FindSubmatch(bytes.TrimSpace(out))
		if found == nil {
			return 0, fmt.Errorf("valgrind: %w\n%s", err, out)
		}
		if n := number(found[1]); least == 0 || n < least {
			least = n
		}
	}
	return least, nil
}

func number(digits []byte) int64 {
	n, _ := strconv.ParseInt(string(digits), 10, 64) // the patterns match digits only
	return n
}
