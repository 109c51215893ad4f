package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

func TestMain(m *testing.M) {
	// Without this option, each program waits a second before it exits, because
	// of the race detector.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	lockTimeout = time.Hour // keeps slow machines from failing tests
	testscript.Main(m, map[string]func(){"carryon": scripted})
}

// scripted runs the command with the variable NOW as its clock. The released
// command has no such variable.
func scripted() {
	now := time.Now
	if s := os.Getenv("NOW"); s != "" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			panic(err)
		}
		now = func() time.Time { return t }
	}
	os.Exit(run(&ui{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: now}, os.Args[1:]))
}

func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the scripts need a POSIX shell")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mode":   checkMode,
			"secret": secretOf,
			"id":     idOf,
		},
	})
}

// setup passes the settings of the race detector on to the programs.
func setup(env *testscript.Env) error {
	env.Setenv("GORACE", os.Getenv("GORACE"))
	return nil
}

// checkMode implements "mode 0600 FILE": it checks the mode of a file.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); (got == args[0]) == neg {
		ts.Fatalf("the mode of %s is %s", args[1], got)
	}
}

// secretOf implements "secret VAR FILE": it sets a variable to the first secret
// in a file.
func secretOf(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, _ := strings.Cut(ts.ReadFile(args[1]), `"secret":"`)
	secret, _, _ := strings.Cut(rest, `"`)
	if len(secret) != 43 {
		ts.Fatalf("there is no secret in %s", args[1])
	}
	ts.Setenv(args[0], secret)
}

// idOf implements "id VAR FILE STATE": it sets a variable to the id of the
// first key with that state in the output of "keys list".
func idOf(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == args[2] {
			ts.Setenv(args[0], f[0])
			return
		}
	}
	ts.Fatalf("%s has no key that is %s", args[1], args[2])
}

func TestChangesAtTheSameTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ring.json")
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	require.NoError(t, (&ui{}).createRing(file, ring))
	var wg sync.WaitGroup
	const writers = 20
	for range writers {
		wg.Go(func() {
			var errs strings.Builder
			u := &ui{err: &errs, now: time.Now}
			if code := run(u, []string{"keys", "rotate", "--force", file}); code != exitDone {
				t.Error(errs.String())
			}
		})
	}
	wg.Wait()
	after, err := (&ui{}).readRing(file)
	require.NoError(t, err)
	require.Len(t, after.Keys(), 1+writers, "no change is lost")
	names, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, names, 1, "no temporary file remains")
}

func TestLockHasAnEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ring.json")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	u := &ui{err: t.Output()}
	unlock, err := u.lock(file, time.Now())
	require.NoError(t, err)
	_, err = u.lock(file, time.Now())
	require.ErrorContains(t, err, "another carryon process")
	unlock()
	unlock, err = u.lock(file, time.Now())
	require.NoError(t, err)
	unlock()
}

func TestFailedReplacementLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ring.json")
	require.NoError(t, os.Mkdir(file, 0o700)) // a file cannot replace a directory
	require.ErrorContains(t, replaceFile(file, []byte("x")), "was not changed")
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
}

// The usage names every command.
func TestUsageNamesAllCommands(t *testing.T) {
	var out strings.Builder
	require.Equal(t, exitDone, run(&ui{out: &out}, []string{"--help"}))
	for _, c := range commands() {
		require.Contains(t, out.String(), "    "+c.synopsis()+" ")
	}
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, len(line), 101, line)
	}
}
