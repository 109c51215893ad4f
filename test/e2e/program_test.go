// Package e2e builds the example programs, runs them as processes of their
// own, and drives them with real browsers.
package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
	"github.com/carryon-go/carryon/test/internal/process"
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
	*process.Process
	url string // without a final slash
}

// start runs an example and waits until it has said where it listens.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := process.Start(t, filepath.Join(binaries, name), args...)
	return &program{p, p.URL}
}

// port is the port that the program listens on.
func (p *program) port(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.url)
	require.NoError(t, err)
	return u.Port()
}

// client makes requests as a program does, and follows no redirect.
func client(jar http.CookieJar) *http.Client {
	return &http.Client{
		Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
