// Package process runs the programs of this repository as processes of their
// own, for tests.
package process

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Process is a program that runs and serves HTTP.
type Process struct {
	URL    string // without a final slash
	cmd    *exec.Cmd
	stderr buffer
	ended  sync.Once
	killed atomic.Bool
}

// Start runs a program in a directory of its own, and waits until it has said
// on its output where it listens. The end of the test stops it.
func Start(t *testing.T, program string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(program, args...)}
	p.cmd.Dir, p.cmd.Stderr = t.TempDir(), &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.Stop(t) })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if at := strings.Index(lines.Text(), "http://"); at >= 0 {
			p.URL = strings.TrimSuffix(lines.Text()[at:], "/")
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return p
		}
	}
	t.Fatalf("%s ended without saying where it listens: %s", program, p.Stderr())
	return nil
}

// Stop asks the program to end, and requires that it ends without an error.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.ended.Do(func() {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.cmd.Wait(), "%s", p.Stderr())
	})
}

// Kill ends the program at once, without giving it time for anything.
func (p *Process) Kill() {
	p.ended.Do(func() {
		p.killed.Store(true)
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// Killed reports whether Kill has ended the program.
func (p *Process) Killed() bool { return p.killed.Load() }

// Stderr returns what the program has written to its standard error so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// buffer collects what a process writes while a test reads it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
