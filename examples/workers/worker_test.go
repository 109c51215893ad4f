//go:build !(js && wasm)

package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/sessiontest"
)

// answer is a response of the Worker.
type answer struct {
	Status  int
	Cookies []string
	Body    string
}

// build compiles the Worker for GOOS=js.
func build(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "app.wasm")
	command := exec.Command("go", "build", "-o", path, ".")
	command.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// node returns the path of Node.js, or ends the test.
func node(t *testing.T) string {
	path, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is not installed; it is required with CI=true")
		}
		t.Skip("node is not installed")
	}
	return path
}

// read skips log lines of the Worker: Go's standard error goes to the console.
func read(t *testing.T, lines *bufio.Reader) (a answer) {
	for {
		line, err := lines.ReadBytes('\n')
		require.NoError(t, err)
		if line[0] == '{' {
			require.NoError(t, json.Unmarshal(line, &a))
			return a
		}
	}
}

func TestWorkerKeepsItsSession(t *testing.T) {
	program := node(t)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	wasmExec := filepath.Join(strings.TrimSpace(string(goroot)), "lib", "wasm", "wasm_exec.js")
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)

	command := exec.Command(program, filepath.Join("testdata", "worker.mjs"), wasmExec, build(t))
	command.Env = append(os.Environ(), "CARRYON_KEYS="+string(text))
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	defer func() { _ = command.Wait() }()
	defer in.Close()

	var jar sessiontest.Jar
	lines := bufio.NewReader(out)
	for _, want := range []string{"visit 1\n", "visit 2\n", "visit 3\n"} {
		require.NoError(t, json.NewEncoder(in).Encode(map[string]string{"cookie": jar.Header("")}))
		a := read(t, lines)
		require.Equal(t, 200, a.Status)
		require.Equal(t, want, a.Body)
		for _, cookie := range a.Cookies {
			require.True(t, jar.Set(cookie))
		}
		require.LessOrEqual(t, len(jar.Names()), 2, "a head and a cell")
	}
}
