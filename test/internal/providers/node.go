package providers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// folderVariable names the folder in which .ci/engines.sh has installed oidc-provider.
const folderVariable = "CARRYON_TEST_OIDC_PROVIDER"

// OIDCProvider is the npm package oidc-provider, in a process of its own. It rotates
// refresh tokens and revokes the grant when one is used twice.
var OIDCProvider = Kind{
	Name:  "oidc-provider",
	paths: Paths{Authorize: "/auth", Token: "/token", Keys: "/jwks", UserInfo: "/me", Logout: "/session/end"},
	start: startNode,
}

// All lists the providers.
var All = []Kind{OIDCProvider, Zitadel}

// node is a process of oidc-provider.
type node struct {
	t      testing.TB
	folder string
	file   string // of the state
	issuer string

	mu       sync.Mutex
	settings Settings
	process  *exec.Cmd
	stdin    io.Closer
	stderr   *strings.Builder // read after the process has ended
	ports    struct{ Protocol, Control int }
}

func startNode(p *Provider) backend {
	p.t.Helper()
	folder := os.Getenv(folderVariable)
	if folder == "" {
		missing(p.t, folderVariable+" is not set; copy .ci/oidc-provider, run npm ci there, and set it to that folder")
	}
	if _, err := exec.LookPath("node"); err != nil {
		missing(p.t, "Node.js is not installed")
	}
	n := &node{t: p.t, folder: folder, file: filepath.Join(p.t.TempDir(), "state"), issuer: p.URL, settings: p.Settings}
	n.start()
	p.t.Cleanup(n.kill)
	return n
}

// start starts the process and waits until it listens.
func (n *node) start() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	settings, err := json.Marshal(struct {
		Settings
		Issuer string `json:"issuer"`
		Secret string `json:"secret"`
		File   string `json:"file"`
	}{n.settings, n.issuer, Secret, n.file})
	require.NoError(n.t, err)
	n.process = exec.Command("node", filepath.Join(n.folder, "serve.js"))
	n.process.Env = append(os.Environ(), "CARRYON_PROVIDER="+string(settings))
	n.stderr = &strings.Builder{}
	n.process.Stderr = n.stderr
	stdout, err := n.process.StdoutPipe()
	require.NoError(n.t, err)
	n.stdin, err = n.process.StdinPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, n.process.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if text, ready := strings.CutPrefix(lines.Text(), "ready "); ready {
			require.NoError(n.t, json.Unmarshal([]byte(text), &n.ports))
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return
		}
	}
	_ = n.process.Wait()
	n.t.Fatalf("oidc-provider did not start: %s", n.stderr)
}

// kill ends the process with SIGKILL. It may be called again.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return
	}
	_ = n.process.Process.Kill()
	_ = n.process.Wait()
	if text := n.stderr.String(); text != "" {
		n.t.Logf("oidc-provider: %s", text)
	}
	n.process, n.ports.Protocol = nil, 0
}

func (n *node) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ports.Protocol == 0 {
		return ""
	}
	return fmt.Sprintf("127.0.0.1:%d", n.ports.Protocol)
}

func (n *node) counts() (c Counts) {
	n.t.Helper()
	require.NoError(n.t, json.Unmarshal(n.control("/counts", nil), &c))
	return c
}

func (n *node) configure(s Settings) {
	n.t.Helper()
	n.mu.Lock()
	n.settings = s
	n.mu.Unlock()
	n.control("/settings", s)
}

func (n *node) logout(sub, sid string) {
	n.t.Helper()
	n.control("/logout", []string{sub, sid})
}

// control sends a request to the second port.
func (n *node) control(path string, body any) []byte {
	n.t.Helper()
	n.mu.Lock()
	port := n.ports.Control
	n.mu.Unlock()
	text, err := json.Marshal(body)
	require.NoError(n.t, err)
	response, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d%s", port, path), "application/json", strings.NewReader(string(text)))
	require.NoError(n.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(n.t, err)
	require.Equal(n.t, http.StatusOK, response.StatusCode, "%s at oidc-provider", path)
	return answer
}
