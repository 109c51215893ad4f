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

// Patience is how long the process may take for an event before the test fails.
const Patience = time.Minute

// Build compiles a package to a bootstrap for this machine, as
// "go build -tags lambda.norpc" with CGO_ENABLED=0 does, and gives its path.
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

// Function is a function's process and the service that it works for.
type Function struct {
	// Budget is how much time an event's handling may take, as the process is
	// told; 0 is a minute. It is not enforced.
	Budget time.Duration
	// OnChunk, where set, is given what of an answer arrives, as it arrives.
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

// Answer is what the process said of an event.
type Answer struct {
	RequestID   string
	Kind        string // "response", or "error"
	ContentType string
	Body        []byte
	// ErrorType is the trailer Lambda-Runtime-Function-Error-Type, "" where an
	// answer was sent whole.
	ErrorType string
}

// Start runs a bootstrap until the test ends. It sees the variables of env
// ("NAME=value"), those that Lambda sets, and no others.
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

// Invoke has the process handle an event, and gives its answer.
func (f *Function) Invoke(event []byte) Answer {
	f.t.Helper()
	f.Send(event)
	return f.Answer()
}

// Send gives the process an event, when it asks for one.
func (f *Function) Send(event []byte) {
	f.t.Helper()
	select {
	case f.events <- event:
	case <-time.After(Patience):
		f.t.Fatalf("the function does not ask for an event: %s", f.Log())
	}
}

// Answer is the answer to the event that was sent.
func (f *Function) Answer() (a Answer) {
	f.t.Helper()
	select {
	case a = <-f.answers:
	case <-time.After(Patience):
		f.t.Fatalf("the function does not answer: %s", f.Log())
	}
	return a
}

// Log is what the process has written to its output so far; the last lines
// before an answer may come after it.
func (f *Function) Log() string { return f.log.String() }

// Logs waits until the process has written a text as often as this.
func (f *Function) Logs(text string, times int) {
	f.t.Helper()
	for end := time.Now().Add(Patience); strings.Count(f.Log(), text) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("the function has not logged %q %d times: %s", text, times, f.Log())
		}
	}
}

// PID is the process's id.
func (f *Function) PID() int { return f.process.Process.Pid }

// Stop ends the process, as Lambda does: without a word.
func (f *Function) Stop() {
	f.ended.Do(func() {
		_ = f.process.Process.Kill()
		_ = f.process.Wait()
		close(f.done)
		f.api.CloseClientConnections()
		f.api.Close()
	})
}

// lockedBuffer collects what a process writes while a test may read it.
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
