// Package fleet_test rotates keys with the command while visitors use several
// replicas, which are separate processes.
package fleet_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/internal/process"
)

const (
	replicas = 4
	visitors = 30
	every    = 2 * time.Second
	staged   = 2 * time.Second  // replicas see a new file within a second
	lives    = 10 * time.Second // lifetime of a session; shorter than that of its keys
	overlap  = 12 * time.Second
)

// lasts returns how long the load runs. CARRYON_FLEET=1m sets it.
func lasts(t *testing.T) time.Duration {
	text := os.Getenv("CARRYON_FLEET")
	if text == "" {
		return 25 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

// build builds the programs of the fleet.
func build(t *testing.T) (playground, carryon string) {
	t.Helper()
	dir := t.TempDir()
	for _, b := range []struct{ from, pkg string }{{"../../examples", "./playground"}, {"../..", "./cmd/carryon"}} {
		command := exec.Command("go", "build", "-o", dir+string(filepath.Separator), b.pkg)
		command.Dir = b.from
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return filepath.Join(dir, "playground"), filepath.Join(dir, "carryon")
}

// A replica is a process.
type replica struct {
	*process.Process
	url string
}

func start(t *testing.T, program string, args ...string) *replica {
	t.Helper()
	p := process.Start(t, program, args...)
	return &replica{p, p.URL}
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// A visitor uses one session on all replicas.
type visitor struct {
	client http.Client
	fleet  []*replica
	n      int
	size   int
}

func (v *visitor) do(method, name, body string) (status int, text string, err error) {
	to := v.fleet[rand.IntN(len(v.fleet))].url + "/api/values/" + name
	r, err := http.NewRequest(method, to, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := v.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

// value returns the visitor's i-th value.
func (v *visitor) value(i int) string {
	return fmt.Sprintf("%d of %d ", i, v.n) + strings.Repeat("x", v.size)
}

// visit writes and reads until the given time. Half of the visitors write once
// per session and then only read. Shortly before a session ends, the visitor
// begins a new one.
func (v *visitor) visit(until time.Time) error {
	written := 0
	var began time.Time
	for round := 0; time.Now().Before(until); round++ {
		begins := time.Since(began) > lives-3*time.Second
		if begins {
			began, v.client.Jar = time.Now(), &sessiontest.Jar{URL: v.fleet[0].url}
		}
		if begins || v.n%2 == 0 && round%3 == 0 {
			written++
			status, text, err := v.do(http.MethodPut, "note", v.value(written))
			if err != nil || status != http.StatusNoContent {
				return fmt.Errorf("visitor %d, write %d: status %d %.200s %v", v.n, written, status, text, err)
			}
		}
		status, text, err := v.do(http.MethodGet, "note", "")
		if err != nil || status != http.StatusOK || text != v.value(written) {
			return fmt.Errorf("visitor %d, round %d: status %d, read %.40q, expected %.40q: %v", v.n, round, status, text, v.value(written), err)
		}
		time.Sleep(50*time.Millisecond + rand.N(100*time.Millisecond))
	}
	return nil
}

// Keys become active, retire and expire within seconds, under load. No visitor
// may be logged out, whether they write or only read.
func TestKeysRotateUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("this test runs for half a minute")
	}
	playground, carryon := build(t)
	ring := filepath.Join(t.TempDir(), "keys.json")
	run(t, carryon, "keys", "init", ring)
	first := read(t, ring).Keys()[0].ID()

	var fleet []*replica
	for range replicas {
		fleet = append(fleet, start(t, playground, "-addr", "127.0.0.1:0", "-keys", ring, "-lifetime", lives.String(), "-limits", string(middleware.GoServer)))
	}
	until := time.Now().Add(lasts(t))
	errs := make(chan error, visitors)
	for n := range visitors {
		v := &visitor{fleet: fleet, n: n, size: 40}
		if n%10 == 0 {
			v.size = 4000 // several cookies
		}
		v.client = http.Client{Timeout: time.Minute}
		go func() { errs <- v.visit(until) }()
	}
	rotations := 0
	for time.Now().Before(until) {
		time.Sleep(every)
		run(t, carryon, "keys", "rotate", "--force", "--activate-in", staged.String(), "--overlap", overlap.String(), ring)
		rotations++
	}
	for range visitors {
		require.NoError(t, <-errs)
	}
	for _, r := range fleet {
		require.NotContains(t, r.Stderr(), "error", "a replica's log")
	}
	left := read(t, ring)
	_, state := left.Find(first, time.Now())
	require.True(t, state.Dead(), "the key of the first sessions must be dead, but is %v", state)
	t.Logf("%d rotations, %d keys, %d dead", rotations, len(left.Keys()), len(left.Dead()))
}

func read(t *testing.T, file string) *keyring.Ring {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	ring, err := keyring.Parse(text)
	require.NoError(t, err)
	return ring
}
