// Package e2e builds the example programs, runs them as processes of their
// own, and drives them with real browsers.
package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

// binaries is where the example programs are built, once.
var binaries string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "carryon-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./login", "./playground")
	build.Dir = filepath.Join("..", "..", "examples")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the examples do not build: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return browser.Main(m)
}

// program is an example that runs.
type program struct {
	url     string // without a final slash
	process *exec.Cmd
	stderr  *lockedBuffer
	ended   sync.Once
}

// start runs an example and waits until it has said where it listens.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{process: exec.Command(filepath.Join(binaries, name), args...), stderr: &lockedBuffer{}}
	p.process.Dir = t.TempDir()
	p.process.Stderr = p.stderr
	stdout, err := p.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.process.Start())
	t.Cleanup(func() { p.stop(t) })

	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if at := strings.Index(lines.Text(), "http://"); at >= 0 {
			p.url = strings.TrimSuffix(lines.Text()[at:], "/")
			return p
		}
	}
	t.Fatalf("%s ended without saying where it listens: %s", name, p.stderr)
	return nil
}

// stop asks the program to end; it must end well.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.ended.Do(func() {
		require.NoError(t, p.process.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.process.Wait(), "%s", p.stderr)
	})
}

// port is the port that the program listens on.
func (p *program) port(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.url)
	require.NoError(t, err)
	return u.Port()
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

// client makes requests as a program does, and follows no redirect.
func client(jar http.CookieJar) *http.Client {
	return &http.Client{
		Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
