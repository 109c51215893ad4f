package lambdatest

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long the process may take for an event before the test
// fails.
const Patience = time.Minute

// Build compiles a package to a bootstrap for this machine, like "go build
// -tags lambda.norpc" with CGO_ENABLED=0, and returns its path.
func Build(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap")
	args := append([]string{"build", "-tags", "lambda.norpc", "-o", file}, flags...)
	build := exec.Command("go", append(args, pkg)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", pkg, err, out)
	}
	return file
}

// Function is a function's process and the Runtime API that it uses.
type Function struct {
	// Budget is the deadline that the process gets with each event; 0 means a
	// minute. It is not enforced.
	Budget time.Duration
	// OnChunk, if set, receives each part of an answer as it arrives.
	OnChunk func(chunk []byte)

	t       testing.TB
	api     *httptest.Server
	process *exec.Cmd
	log     lockedBuffer
	events  chan []byte
	answers chan Answer
	ended   sync.Once
	done    chan struct{} // closed when the function is stopped
}

// Answer is the answer of the process to an event.
type Answer struct {
	RequestID   string
	Kind        string // "response", or "error"
	ContentType string
	Body        []byte
	// ErrorType is the trailer Lambda-Runtime-Function-Error-Type, or "" for a
	// complete answer.
	ErrorType string
}

// Start runs a bootstrap until the test ends. Its environment has only the
// variables of env ("NAME=value") and those that Lambda sets.
func Start(t testing.TB, bootstrap string, env ...string) *Function {
	t.Helper()
	f := &Function{t: t, events: make(chan []byte), answers: make(chan Answer, 1), done: make(chan struct{})}
	f.api = httptest.NewServer(f)
	f.process = exec.Command(bootstrap)
	f.process.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(f.api.URL, "http://"),
		"AWS_LAMBDA_FUNCTION_NAME=function", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_REGION=eu-central-1", "TZ=UTC",
	}, env...)
	f.process.Stdout, f.process.Stderr = &f.log, &f.log
	if err := f.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f
}

// Invoke sends an event to the process and returns its answer.
func (f *Function) Invoke(event []byte) Answer {
	f.t.Helper()
	f.Send(event)
	return f.Answer()
}

// Send sends an event as soon as the process requests one.
func (f *Function) Send(event []byte) {
	f.t.Helper()
	select {
	case f.events <- event:
	case <-time.After(Patience):
		f.t.Fatalf("the function does not ask for an event: %s", f.Log())
	}
}

// Answer returns the answer to the event that was sent.
func (f *Function) Answer() (a Answer) {
	f.t.Helper()
	select {
	case a = <-f.answers:
	case <-time.After(Patience):
		f.t.Fatalf("the function does not answer: %s", f.Log())
	}
	return a
}

// Log returns the output of the process so far. The last lines before an
// answer may arrive after it.
func (f *Function) Log() string { return f.log.String() }

// Logs waits until the process has logged text the given number of times.
func (f *Function) Logs(text string, times int) {
	f.t.Helper()
	for end := time.Now().Add(Patience); strings.Count(f.Log(), text) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("the function has not logged %q %d times: %s", text, times, f.Log())
		}
	}
}

// PID returns the id of the process.
func (f *Function) PID() int { return f.process.Process.Pid }

// Stop kills the process without warning, as Lambda does.
func (f *Function) Stop() {
	f.ended.Do(func() {
		_ = f.process.Process.Kill()
		_ = f.process.Wait()
		close(f.done)
		f.api.CloseClientConnections()
		f.api.Close()
	})
}

// lockedBuffer collects the output of a process while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
