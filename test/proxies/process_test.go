// Package proxies_test drives sessions through real proxies with their default
// settings: what a platform's limits let through, the platform must not refuse.
package proxies_test

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

// patience bounds every call; no test waits for it unless it fails.
const patience = 30 * time.Second

// proxy is a program that can stand before ours, as Debian packages it.
type proxy struct {
	name     string
	platform middleware.Platform
	args     func(dir string) []string
	// config is the whole configuration: where to listen, where to pass on to,
	// and nothing about sizes.
	config func(dir, listen, backend string) string
}

var proxies = []proxy{
	{
		name: "nginx", platform: middleware.Nginx,
		args: func(dir string) []string {
			return []string{"-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "config")}
		},
		config: func(dir, listen, backend string) string { return nginxConfig(dir, listen, backend) },
	},
	{
		name: "haproxy", platform: middleware.HAProxy,
		args:   func(dir string) []string { return []string{"-db", "-f", filepath.Join(dir, "config")} },
		config: haproxyConfig,
	},
	{
		name: "apache2", platform: middleware.Apache,
		args:   func(dir string) []string { return []string{"-X", "-d", dir, "-f", filepath.Join(dir, "config")} },
		config: apacheConfig,
	},
}

func nginxConfig(dir, listen, backend string) string {
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
    listen %s;
    location / { proxy_pass http://%s; }
  }
}
`, dir, temp, listen, backend)
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
	if os.Getuid() == 0 { // it asks whom to become
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

// each runs f behind every proxy that is installed.
func each(t *testing.T, f func(t *testing.T, p proxy)) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			p.program(t)
			f(t, p)
		})
	}
}

// program finds the proxy, or ends the test.
func (p proxy) program(t *testing.T) string {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin"} {
		if path := filepath.Join(dir, p.name); isFile(path) {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI=true wants it", p.name)
	}
	t.Skipf("%s is not installed", p.name)
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// before starts the proxy in front of a backend and returns its URL.
func (p proxy) before(t *testing.T, backend string) string {
	u, err := url.Parse(backend)
	require.NoError(t, err)
	dir := t.TempDir()
	listen := freeAddress(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(p.config(dir, listen, u.Host)), 0o600))
	var output bytes.Buffer
	program := exec.Command(p.program(t), p.args(dir)...)
	program.Stdout, program.Stderr = &output, &output
	require.NoError(t, program.Start())
	ended := make(chan struct{})
	go func() { _ = program.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = program.Process.Kill() // one process, in the foreground: it has no children
		<-ended
	})
	for start := time.Now(); !answers(listen); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("%s ended at once: %s%s", p.name, output.Bytes(), log)
		default:
			require.Less(t, time.Since(start), patience, "%s does not answer", p.name)
		}
	}
	return "http://" + listen
}

func answers(address string) bool {
	c, err := net.Dial("tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// freeAddress is a port that was free a moment ago: these programs cannot be
// given a socket that is open already.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
