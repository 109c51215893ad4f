// Package front starts real proxies in front of a program, with their default
// settings.
package front

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
)

// patience limits the start of a proxy. Only failing tests wait for it.
const patience = 30 * time.Second

// A Proxy is a proxy server as Debian packages it.
type Proxy struct {
	Name     string
	Platform middleware.Platform // the platform with the proxy's limits
	// Config returns the whole configuration: the address to listen on and the
	// address of the backend. It sets no sizes.
	Config func(dir, listen, backend string) string
	args   func(dir string) []string
}

// All lists the supported proxies.
var All = []Proxy{
	{
		Name: "nginx", Platform: middleware.Nginx,
		args: func(dir string) []string {
			return []string{"-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "config")}
		},
		Config: func(dir, listen, backend string) string {
			return NginxConfig(dir, "listen "+listen+";\n    location / { proxy_pass http://"+backend+"; }")
		},
	},
	{
		Name: "haproxy", Platform: middleware.HAProxy,
		args:   func(dir string) []string { return []string{"-db", "-f", filepath.Join(dir, "config")} },
		Config: haproxyConfig,
	},
	{
		Name: "apache2", Platform: middleware.Apache,
		args:   func(dir string) []string { return []string{"-X", "-d", dir, "-f", filepath.Join(dir, "config")} },
		Config: apacheConfig,
	},
}

// NginxConfig returns a configuration with one server that has the given
// directives.
func NginxConfig(dir, server string) string {
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("  %s_temp_path %s/%s;\n", kind, dir, kind)
	}
	return fmt.Sprintf(`daemon off;
master_process off;
pid %s/pid;
events {}
http {
  access_log off;
%s  server {
    %s
  }
}
`, dir, temp, server)
}

func haproxyConfig(_, listen, backend string) string {
	return fmt.Sprintf(`defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend f
  bind %s
  default_backend b
backend b
  server s %s
`, listen, backend)
}

func apacheConfig(dir, listen, backend string) string {
	load := ""
	for _, module := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		load += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", module, module)
	}
	if os.Getuid() == 0 { // as root it needs an account to switch to
		load += "User www-data\nGroup www-data\n"
	}
	return fmt.Sprintf(`%sServerName localhost
Listen %s
PidFile %s/pid
Mutex posixsem
ErrorLog %s/error.log
ProxyPass / http://%s/
`, load, listen, dir, dir, backend)
}

// Each runs f for every installed proxy, as a subtest with the proxy's name.
func Each(t *testing.T, f func(t *testing.T, p Proxy)) {
	for _, p := range All {
		t.Run(p.Name, func(t *testing.T) {
			p.Want(t)
			f(t, p)
		})
	}
}

// Nginx returns nginx. It skips the test if nginx is not installed.
func Nginx(t *testing.T) Proxy {
	t.Helper()
	All[0].Want(t)
	return All[0]
}

// Want skips the test if the proxy is not installed.
func (p Proxy) Want(t *testing.T) { t.Helper(); p.program(t) }

// program returns the path of the proxy, or ends the test.
func (p Proxy) program(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin"} {
		if path := filepath.Join(dir, p.Name); isFile(path) {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, but CI=true requires it", p.Name)
	}
	t.Skipf("%s is not installed", p.Name)
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Before starts the proxy in front of a backend and returns its URL.
func (p Proxy) Before(t *testing.T, backend string) string {
	t.Helper()
	u, err := url.Parse(backend)
	require.NoError(t, err)
	dir := t.TempDir()
	listen := freeAddress(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(p.Config(dir, listen, u.Host)), 0o600))
	var output bytes.Buffer
	program := exec.Command(p.program(t), p.args(dir)...)
	program.Stdout, program.Stderr = &output, &output
	require.NoError(t, program.Start())
	ended := make(chan struct{})
	go func() { _ = program.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = program.Process.Kill() // the proxy runs in the foreground and has no children
		<-ended
	})
	for start := time.Now(); !accepts(listen); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("%s ended at once: %s%s", p.Name, output.Bytes(), log)
		default:
			require.Less(t, time.Since(start), patience, "%s does not respond", p.Name)
		}
	}
	return "http://" + listen
}

func accepts(address string) bool {
	c, err := net.Dial("tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// freeAddress returns an address that was free a moment ago. These programs
// cannot use an open socket.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
