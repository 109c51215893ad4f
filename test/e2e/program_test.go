// Package e2e builds and runs the example programs as processes, and uses them
// with real browsers.
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

// binaries is the folder of the built example programs.
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
		fmt.Fprintf(os.Stderr, "cannot build the examples: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return browser.Main(m)
}

// A program is a running example.
type program struct {
	url     string // without a final slash
	process *exec.Cmd
	stderr  *lockedBuffer
	ended   sync.Once
}

// start runs an example and waits until it prints its address.
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
	t.Fatalf("%s ended before it printed its address: %s", name, p.stderr)
	return nil
}

// stop asks the program to end. It must end without an error.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.ended.Do(func() {
		require.NoError(t, p.process.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.process.Wait(), "%s", p.stderr)
	})
}

// port returns the port of the program.
func (p *program) port(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.url)
	require.NoError(t, err)
	return u.Port()
}

// A lockedBuffer collects the output of a process while a test reads it.
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

// client returns an HTTP client that does not follow redirects.
func client(jar http.CookieJar) *http.Client {
	return &http.Client{
		Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
