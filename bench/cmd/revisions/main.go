// Command revisions compares the working tree with another revision:
//
//	go run ./bench/cmd/revisions [-bench 'Session/read/1KB/carryon$'] [-count 10] main
//
// Both sides run the benchmarks of the working tree. The other side's library
// comes from a temporary git worktree of the revision. The sides run in turns,
// so that noise affects both, and benchstat compares the results. Run it in the
// repository.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	pattern := flag.String("bench", "Session/(read|change)/.*/carryon$", "the benchmarks, as for go test")
	count := flag.Int("count", 10, "how often each runs")
	each := flag.String("benchtime", "100ms", "how long each runs, as for go test")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "revisions: error: give one revision to compare the working tree with, such as main")
		os.Exit(2)
	}
	if err := compare(os.Stdout, flag.Arg(0), *pattern, *each, *count); err != nil {
		fmt.Fprintln(os.Stderr, "revisions: error:", err)
		os.Exit(1)
	}
}

// A side is one of the two compared versions.
type side struct {
	name    string
	program string // compiled benchmarks
	results string // output of the benchmarks
}

func compare(to io.Writer, revision, pattern, each string, count int) (err error) {
	top, err := output("", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "carryon-revisions")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tree := filepath.Join(dir, "tree")
	if _, err := output(top, "git", "worktree", "add", "--detach", tree, revision); err != nil {
		return err
	}
	defer func() {
		if _, gone := output(top, "git", "worktree", "remove", "--force", tree); err == nil {
			err = gone
		}
	}()
	if err := takeBench(top, tree); err != nil {
		return err
	}
	sides := []side{newSide(dir, "old"), newSide(dir, "new")}
	for i, root := range []string{tree, top} {
		if err := sides[i].build(root); err != nil {
			return err
		}
	}
	for range count {
		for _, s := range sides {
			if err := s.run(top, pattern, each); err != nil {
				return err
			}
		}
	}
	table, err := output(filepath.Join(top, "bench"), "go", "tool", "benchstat", "old="+sides[0].results, "new="+sides[1].results)
	if err == nil {
		_, err = fmt.Fprintln(to, table)
	}
	return err
}

// takeBench copies the working tree's folder bench into the revision's
// worktree.
func takeBench(top, tree string) error {
	place := filepath.Join(tree, "bench")
	if err := os.RemoveAll(place); err != nil {
		return err
	}
	return os.CopyFS(place, os.DirFS(filepath.Join(top, "bench")))
}

func newSide(dir, name string) side {
	return side{name, filepath.Join(dir, name+".test"), filepath.Join(dir, name+".txt")}
}

// build builds outside of the workspace, because the revision may have other
// modules.
func (s side) build(root string) error {
	_, err := output(filepath.Join(root, "bench"), "go", "test", "-c", "-o", s.program, ".")
	if err != nil {
		return fmt.Errorf("cannot build the benchmarks with the %s library: %w", s.name, err)
	}
	return nil
}

// run appends the results of a run.
func (s side) run(top, pattern, each string) error {
	text, err := output(filepath.Join(top, "bench"), s.program, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+each)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// output runs a command and returns its standard output. Its error includes all
// output.
func output(dir, name string, arguments ...string) (string, error) {
	cmd := exec.Command(name, arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(arguments, " "), err, out, failure.String())
	}
	return strings.TrimSpace(string(out)), nil
}
