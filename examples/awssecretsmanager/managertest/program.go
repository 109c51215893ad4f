package managertest

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for an expected event on a slow machine.
const patience = 30 * time.Second

// asProgram is an environment variable that makes a test binary run the
// program itself.
const asProgram = "CARRYON_TEST_AS_PROGRAM"

// Main is for a program's TestMain: it runs the tests, or main in the
// processes that [Start] creates from the same binary.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A Program is a separate process.
type Program struct {
	t     testing.TB
	cmd   *exec.Cmd
	URL   string // where it listens; "" if it ended before
	ended chan struct{}

	mu  sync.Mutex // guards log
	log strings.Builder
}

// Start runs the program with only the environment env, and waits until it
// listens or has ended.
func Start(t testing.TB, env []string, args ...string) *Program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM, which ends the program")
	}
	p := &Program{t: t, cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{asProgram + "=1", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.Stderr = (*programLog)(p)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	listening := make(chan string)
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				listening <- url
			}
		}
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
	})
	select {
	case p.URL = <-listening:
	case <-p.ended:
	case <-time.After(patience):
		require.Fail(t, "the program neither listens nor ends", p.Log())
	}
	return p
}

// Stop asks the program to end, waits for it, and returns its exit status.
func (p *Program) Stop() int {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.Fail(p.t, "the program does not end", p.Log())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Log returns the program's standard error so far.
func (p *Program) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// programLog is the program as the writer of its log.
type programLog Program

func (p *programLog) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}
