// Command coldstart measures how much sessions add to the start of a Lambda
// function. It builds three functions as for Lambda, and starts them in turn,
// with a Runtime API in this process.
//
//	go run ./bench/cmd/coldstart [-rounds 41]
//
// Run it in the root of the repository. "start" is the time from the start of
// the process to its first response; the function with sessions writes a
// session in it. "CPU" is the CPU time of the process until then. If valgrind
// is installed, it counts the instructions until the process requests an event.
// The output is Markdown.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// contestants are the folders of bench/coldstart.
var contestants = []string{"bare", "plain", "session"}

func main() {
	rounds := flag.Int("rounds", 41, "how often each function is started")
	flag.Parse()
	if err := run(max(1, *rounds)); err != nil {
		fmt.Fprintln(os.Stderr, "coldstart: error:", err)
		os.Exit(1)
	}
}

// figures are the measurements of a function.
type figures struct {
	size         int64
	start, cpu   []time.Duration
	init         string // time, bytes and allocations of package initialisation
	instructions string
}

func run(rounds int) error {
	dir, err := os.MkdirTemp("", "coldstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keys, err := ring()
	if err != nil {
		return err
	}
	all := map[string]*figures{}
	for _, name := range contestants {
		f := &figures{}
		all[name] = f
		if f.size, err = build(dir, name); err != nil {
			return err
		}
		f.init = initialisation(filepath.Join(dir, name), keys)
		f.instructions = instructions(filepath.Join(dir, name), keys)
	}
	for range rounds {
		for _, name := range contestants {
			start, cpu, err := launch(filepath.Join(dir, name), keys)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name].start, all[name].cpu = append(all[name].start, start), append(all[name].cpu, cpu)
		}
	}
	print(all, rounds, ready(filepath.Join(dir, "session"), keys))
	return nil
}

func print(all map[string]*figures, rounds int, ready string) {
	fmt.Printf("%s, %s/%s, medians of %d starts; %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, rounds, ready)
	fmt.Println("| | size, stripped | start to first answer | CPU | instructions until ready | package initialisation |")
	fmt.Println("|---|---:|---:|---:|---:|---|")
	for _, name := range contestants {
		f := all[name]
		fmt.Printf("| %s | %.2f MB | %.1f ms | %.1f ms | %s | %s |\n", name, float64(f.size)/1e6, median(f.start), median(f.cpu), f.instructions, f.init)
	}
	fmt.Printf("\nsessions add %.2f MB to plain\n", float64(all["session"].size-all["plain"].size)/1e6)
}

// ring returns a key ring whose key is active.
func ring() (string, error) {
	r, err := keyring.Generate(time.Now().Add(-time.Hour))
	if err != nil {
		return "", err
	}
	text, err := r.Marshal()
	return string(text), err
}

// build builds a function as docs/serverless.md describes, and returns its
// size.
func build(dir, name string) (int64, error) {
	file := filepath.Join(dir, name)
	command := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", file, "./coldstart/"+name)
	command.Dir = "bench" // relative to the root of the repository; the module of the three functions
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot build %s: %w\n%s", name, err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// noAPI is an address without a Runtime API. A process that uses it ends when
// it requests its first event.
const noAPI = "127.0.0.1:1"

func environment(api, keys string, more ...string) []string {
	return append([]string{"AWS_LAMBDA_RUNTIME_API=" + api, "CARRYON_KEYS=" + keys}, more...)
}

// untilReady returns the output of a process up to its first request for an
// event.
func untilReady(command *exec.Cmd, keys string, more ...string) string {
	command.Env = environment(noAPI, keys, more...)
	out, _ := command.CombinedOutput() // the process fails on purpose
	return string(out)
}

var (
	initLine  = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock, (\d+) bytes, (\d+) allocs$`)
	refsLine  = regexp.MustCompile(`I +refs: +([\d,]+)`)
	readyLine = regexp.MustCompile(`ready: .*`)
)

// initialisation summarises the output of GODEBUG=inittrace=1.
func initialisation(file, keys string) string {
	var clock float64
	var bytes, allocations, packages int
	for _, m := range initLine.FindAllStringSubmatch(untilReady(exec.Command(file), keys, "GODEBUG=inittrace=1"), -1) {
		ms, _ := strconv.ParseFloat(m[2], 64)
		b, _ := strconv.Atoi(m[3])
		n, _ := strconv.Atoi(m[4])
		clock, bytes, allocations, packages = clock+ms, bytes+b, allocations+n, packages+1
	}
	return fmt.Sprintf("%d allocations, %d bytes, %.1f ms, in %d packages", allocations, bytes, clock, packages)
}

func instructions(file, keys string) string {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return "not counted"
	}
	out := untilReady(exec.Command(valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", file), keys)
	m := refsLine.FindStringSubmatch(out)
	if m == nil {
		return "not counted"
	}
	return m[1]
}

// ready returns the allocations of opening the ring and of middleware.New.
func ready(file, keys string) string {
	line := readyLine.FindString(untilReady(exec.Command(file), keys, "COLDSTART_STATS=1"))
	return strings.Replace(line, "ready:", "keyring.Open and middleware.New:", 1)
}

// median returns the median in milliseconds.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}
