// Package deployed_test is separate from the function's package, whose init
// function reads the keys in every program that links it.
package deployed_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/sessiontest"
)

// patience is a limit that tests reach only when they fail.
const patience = 30 * time.Second

// build compiles the program that runs the function as a separate process.
func build(t *testing.T) string {
	program := filepath.Join(t.TempDir(), "function")
	out, err := exec.Command("go", "build", "-o", program, "../cmd").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// start runs an instance of the function and returns its URL.
func start(t *testing.T, program string, env ...string) string {
	port := freePort(t)
	command := exec.Command(program)
	command.Env = append([]string{"PORT=" + port, "FUNCTION_TARGET=Visits"}, env...)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	require.NoError(t, command.Start())
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return "http://127.0.0.1:" + port
		}
		select {
		case <-ended:
			t.Fatalf("the function ended: %s", log.Bytes())
		default:
			require.Less(t, time.Since(begin), patience, "the function does not listen")
		}
	}
}

// freePort returns a port that was just free. The framework opens its socket
// itself.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestFunctionUnderItsFramework(t *testing.T) {
	program := build(t)
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	keys := "CARRYON_KEYS=" + string(text)
	jar := &sessiontest.Jar{}
	client := http.Client{Jar: jar, Timeout: patience}
	for _, instance := range [][]string{{"visit 1\n", "visit 2\n"}, {"visit 3\n"}} {
		jar.URL = start(t, program, keys, "K_SERVICE=visits")
		for _, want := range instance {
			response, err := client.Get(jar.URL)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, want, string(body))
			require.LessOrEqual(t, len(jar.Names()), 2, "a head and a cell")
		}
	}
}

func TestFunctionWithoutKeysDoesNotStart(t *testing.T) {
	command := exec.Command(build(t))
	command.Env = []string{"PORT=" + freePort(t), "FUNCTION_TARGET=Visits", "HOME=" + os.Getenv("HOME")}
	out, err := command.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "CARRYON_KEYS is not set")
}
