// Package e2e builds and runs the example programs as processes, and uses them
// with real browsers.
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
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./login", "./playground", "./oidc")
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
	*process.Process
	url string // without a final slash
}

// start runs an example and waits until it prints its address.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := process.Start(t, filepath.Join(binaries, name), args...)
	return &program{p, p.URL}
}

// port returns the port of the program.
func (p *program) port(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.url)
	require.NoError(t, err)
	return u.Port()
}

// client returns an HTTP client that does not follow redirects.
func client(jar http.CookieJar) *http.Client {
	return &http.Client{
		Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
