// Command coldstart measures what sessions add to the start of a Lambda
// function: three functions are built as for Lambda and started anew, in turn,
// under a Runtime API of this process.
//
//	go run ./bench/cmd/coldstart [-rounds 41]
//
// It runs from the root of the repository. "start" is from the start of the
// process until it has answered its first event, which for the function with
// sessions writes one; CPU is the process's own until then. Instructions are
// counted by valgrind, where that is installed, until the process asks for an
// event. Tables go to stdout as Markdown.
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

// figures are those of one function.
type figures struct {
	size         int64
	start, cpu   []time.Duration
	init         string // clock, bytes and allocations of package initialisation
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

// ring is a key ring whose key seals already.
func ring() (string, error) {
	r, err := keyring.Generate(time.Now().Add(-time.Hour))
	if err != nil {
		return "", err
	}
	text, err := r.Marshal()
	return string(text), err
}

// build makes a function as docs/serverless.md says, and gives its size.
func build(dir, name string) (int64, error) {
	file := filepath.Join(dir, name)
	command := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", file, "./coldstart/"+name)
	command.Dir = "bench" // of the root; the module of the three
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s does not build: %w\n%s", name, err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// nobody is an address where no Runtime API answers: the process ends when it
// would ask for its first event.
const nobody = "127.0.0.1:1"

func environment(api, keys string, more ...string) []string {
	return append([]string{"AWS_LAMBDA_RUNTIME_API=" + api, "CARRYON_KEYS=" + keys}, more...)
}

// untilReady is what a process writes until it would ask for an event.
func untilReady(command *exec.Cmd, keys string, more ...string) string {
	command.Env = environment(nobody, keys, more...)
	out, _ := command.CombinedOutput() // it fails, by intent
	return string(out)
}

var (
	initLine  = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock, (\d+) bytes, (\d+) allocs$`)
	refsLine  = regexp.MustCompile(`I +refs: +([\d,]+)`)
	readyLine = regexp.MustCompile(`ready: .*`)
)

// initialisation sums up what the runtime says with GODEBUG=inittrace=1.
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

// ready is what opening the ring and middleware.New allocate.
func ready(file, keys string) string {
	line := readyLine.FindString(untilReady(exec.Command(file), keys, "COLDSTART_STATS=1"))
	return strings.Replace(line, "ready:", "keyring.Open and middleware.New:", 1)
}

// median is in milliseconds.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}
