package loadbalanced

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/sessiontest"
)

// patience is how long a test waits for an expected event.
const patience = time.Minute

// site is the set of processes that run.sh has started.
type site struct {
	t    *testing.T
	port int
	dir  string
}

func startSite(t *testing.T) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a program and starts five")
	}
	for _, tool := range []string{"bash", "nginx", "redis-server", "redis-cli"} {
		missing(t, tool)
	}
	s := &site{t: t, port: freePorts(t, 5), dir: filepath.Join(t.TempDir(), "a folder")}
	t.Cleanup(func() {
		_, err := s.run("stop")
		require.NoError(t, err)
		require.NoDirExists(t, s.dir)
	})
	s.start()
	return s
}

// missing skips the test if a program is not installed. CI installs all of
// them.
func missing(t *testing.T, tool string) {
	t.Helper()
	_, err := exec.LookPath(tool)
	if _, there := os.Stat("/usr/sbin/" + tool); err == nil || there == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; it is required with CI=true", tool)
	}
	t.Skipf("%s is not installed", tool)
}

// freePorts returns the first of n consecutive free ports.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for first := 21000; first < 31000; first += n {
		free := true
		for i := range n {
			l, err := net.Listen("tcp", address(first+i))
			if err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func (s *site) run(what string) (string, error) {
	script := exec.Command("bash", "run.sh", what)
	script.Env = append(os.Environ(), "CARRYON_LB_PORT="+strconv.Itoa(s.port), "CARRYON_LB_DIR="+s.dir)
	out, err := script.CombinedOutput()
	return string(out), err
}

// start starts all processes that are not running.
func (s *site) start() {
	s.t.Helper()
	out, err := s.run("start")
	require.NoError(s.t, err, out)
	require.Equal(s.t, "http://"+address(s.port)+"/\n", out)
}

// kill kills a process, like a power failure.
func (s *site) kill(name string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name+".pid"))
	require.NoError(s.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(s.t, err)
	process, err := os.FindProcess(pid)
	require.NoError(s.t, err)
	require.NoError(s.t, process.Kill())
	s.eventually(name+" has ended", func() bool {
		out, err := s.run("status")
		return err != nil && strings.Contains(out, name+": does not run")
	})
}

func (s *site) eventually(what string, done func() bool) {
	s.t.Helper()
	for began := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			s.t.Fatalf("still not after %v: %s", patience, what)
		}
	}
}

// visitor is a browser.
type visitor struct {
	client       *http.Client
	url          string
	acknowledged int // the last acknowledged number
}

func (s *site) visit() *visitor {
	url := "http://" + address(s.port)
	return &visitor{url: url, client: &http.Client{Jar: &sessiontest.Jar{URL: url}, Timeout: patience}}
}

// ask sends a request and returns the status, the text and the replica that
// responded.
func (v *visitor) ask(method, path, body string) (status int, text, replica string, err error) {
	request, err := http.NewRequest(method, v.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	response, err := v.client.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), response.Header.Get("X-Replica"), err
}

func (v *visitor) want(t *testing.T, status int, method, path, body string) (text, replica string) {
	t.Helper()
	got, text, replica, err := v.ask(method, path, body)
	require.NoError(t, err)
	require.Equal(t, status, got, "%s %s: %.300s", method, path, text)
	return text, replica
}

// login makes a session of the given size for the user.
func (v *visitor) login(t *testing.T, user string, size int) {
	t.Helper()
	v.want(t, 204, "POST", "/api/bind", user)
	v.want(t, 204, "PUT", "/api/values/cart", cart(user, size))
}

func cart(user string, size int) string { return strings.Repeat(user, 1+size/len(user)) }

// recognised checks that the visitor is still logged in as the user, with the
// complete cart.
func (v *visitor) recognised(t *testing.T, user, mode string, size int) (replica string) {
	t.Helper()
	text, replica := v.want(t, 200, "GET", "/api/session", "")
	var picture struct{ Subject, Mode string }
	require.NoError(t, json.Unmarshal([]byte(text), &picture))
	require.Equal(t, user, picture.Subject)
	require.Equal(t, mode, picture.Mode)
	text, _ = v.want(t, 200, "GET", "/api/values/cart", "")
	require.True(t, text == cart(user, size), "the cart is a different one")
	return replica
}

// write counts continuously until it is stopped. A number that got a 204 must
// not disappear. While a replica or Redis is down, requests may refuse a
// number.
func (v *visitor) write(stop chan struct{}) error {
	for sent := 1; ; sent++ {
		select {
		case <-stop:
			return nil
		case <-time.After(10 * time.Millisecond):
		}
		status, text, _, err := v.ask("PUT", "/api/values/n", strconv.Itoa(sent))
		switch {
		case err != nil:
			return err
		case status == http.StatusNoContent:
			v.acknowledged = sent
		case status < 500:
			return fmt.Errorf("number %d got the response %d %s", sent, status, text)
		}
		status, text, _, err = v.ask("GET", "/api/values/n", "")
		n, _ := strconv.Atoi(text)
		if err == nil && status == http.StatusOK && (n < v.acknowledged || n > sent) {
			err = fmt.Errorf("number %d was acknowledged and %d sent, and a read returned %q", v.acknowledged, sent, text)
		}
		if err != nil {
			return err
		}
	}
}

func TestLoginSurvivesTheDeathOfAnyReplica(t *testing.T) {
	s := startSite(t)
	small, large, busy := s.visit(), s.visit(), s.visit()
	small.login(t, "张三", 100)
	large.login(t, "李四", 200_000)
	busy.login(t, "王五", 50_000)
	stop, written := make(chan struct{}), make(chan error, 1)
	go func() { written <- busy.write(stop) }()

	served := map[string]bool{}
	for n := 1; n <= 3; n++ {
		dead := address(s.port + n)
		s.kill(fmt.Sprint("replica", n))
		for range 8 {
			require.False(t, strings.HasSuffix(small.recognised(t, "张三", "inline", 100), dead))
			require.False(t, strings.HasSuffix(large.recognised(t, "李四", "stored", 200_000), dead))
		}
		s.start()
		s.eventually("nginx asks it again", func() bool {
			return large.recognised(t, "李四", "stored", 200_000) == dead
		})
		served[dead] = true
	}
	require.Len(t, served, 3)

	s.kill("redis")
	small.recognised(t, "张三", "inline", 100)
	text, _ := large.want(t, 503, "GET", "/api/values/cart", "")
	require.Contains(t, text, `"reason":"store down"`)
	s.start()
	small.recognised(t, "张三", "inline", 100)
	large.recognised(t, "李四", "stored", 200_000)

	close(stop)
	require.NoError(t, <-written)
	busy.recognised(t, "王五", "stored", 50_000)
	last, _ := busy.want(t, 200, "GET", "/api/values/n", "")
	n, err := strconv.Atoi(last)
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, busy.acknowledged)
	require.NotZero(t, busy.acknowledged)
	t.Logf("%d writes were acknowledged meanwhile", busy.acknowledged)

	out, err := s.run("status")
	require.NoError(t, err, out)
	require.Equal(t, 5, strings.Count(out, ": runs, process "))
}

// stop removes only a folder that start has created.
func TestForeignFoldersAreLeftAlone(t *testing.T) {
	missing(t, "bash")
	s := &site{t: t, port: 21000, dir: t.TempDir()}
	kept := filepath.Join(s.dir, "kept")
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	_, err := s.run("stop")
	require.NoError(t, err)
	require.FileExists(t, kept)
	for _, tool := range []string{"nginx", "redis-server", "redis-cli"} {
		missing(t, tool)
	}
	out, err := s.run("start")
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v", err)
	require.Contains(t, out, "set CARRYON_LB_DIR to a folder that is not there yet")
	require.FileExists(t, kept)
}
