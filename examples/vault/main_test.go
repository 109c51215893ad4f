package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

// asClient is a variable that makes the test binary act as the vault command.
const asClient = "CARRYON_TEST_AS_VAULT"

func TestMain(m *testing.M) {
	if os.Getenv(asClient) != "" {
		os.Exit(vaultCommand(os.Args[1:]))
	}
	managertest.Main(m, main)
}

func TestProgramFollowsTheSecret(t *testing.T) {
	v := newVault(t)
	managertest.Follow(t, managertest.Manager{
		Put: v.put, Break: v.seal, Env: v.environment(), Args: []string{"-secret", "session-keys"},
	})
}

// The file is replaced by one that is encrypted again before the server fails:
// otherwise the program would not need the server.
func TestProgramFollowsTheEncryptedFile(t *testing.T) {
	v, file, last := newVault(t), filepath.Join(t.TempDir(), "session-keys.vault"), ""
	put := func(text string) {
		require.NoError(t, os.WriteFile(file+".new", []byte(v.wrap("session-keys", text)), 0o644))
		require.NoError(t, os.Rename(file+".new", file))
		last = text
	}
	managertest.Follow(t, managertest.Manager{
		Put: put,
		Break: func(broken bool) {
			if broken {
				put(last)
			}
			v.seal(broken)
		},
		Env: v.environment(), Args: []string{"-transit", "session-keys", "-ring", file},
	})
}

func TestFetchAndUnwrap(t *testing.T) {
	v := newVault(t)
	for _, pair := range v.environment() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	client, err := newClient()
	require.NoError(t, err)
	read := fetch(client, "secret", "session-keys")
	_, err = read(t.Context())
	require.ErrorIs(t, err, api.ErrSecretNotFound)
	v.put("a ring")
	got, err := read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a ring", string(got))
	_, err = v.client.KVv2("secret").Put(t.Context(), "session-keys", map[string]any{"other": "entry"})
	require.NoError(t, err)
	_, err = read(t.Context())
	require.ErrorContains(t, err, `no text named "ring"`)

	wrapped := v.wrap("session-keys", "a ring")
	got, err = unwrap(client, "session-keys")(t.Context(), []byte(wrapped))
	require.NoError(t, err)
	require.Equal(t, "a ring", string(got))
	for key, text := range map[string]string{"other": wrapped, "session-keys": wrapped[:len(wrapped)-8] + "AAAAAAAA"} {
		_, err = unwrap(client, key)(t.Context(), []byte(text))
		require.Error(t, err)
	}
	client.SetToken("another")
	for _, err := range []error{call(read(t.Context())), call(unwrap(client, "session-keys")(t.Context(), []byte(wrapped)))} {
		require.ErrorContains(t, err, "permission denied")
	}
}

func call(_ []byte, err error) error { return err }

// The commands of docs/secrets.md that encrypt a ring with the transit engine.
func TestCommandsOfTheTransitEngine(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the commands need a POSIX shell")
	}
	v, dir := newVault(t), t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "carryon"), "./cmd/carryon")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	client := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asClient, os.Args[0])
	if program := os.Getenv(realVault); program != "" {
		client = fmt.Sprintf("#!/bin/sh\nexec %q \"$@\"\n", program)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vault"), []byte(client), 0o700))

	work := t.TempDir()
	shell := func(script string) string {
		command := exec.Command("sh", "-euc", script)
		command.Dir = work
		command.Env = append(v.environment(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+t.TempDir(), "TMPDIR="+work)
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	shell(transitScript(t))
	names, err := os.ReadDir(work)
	require.NoError(t, err)
	require.Len(t, names, 1, "only the encrypted ring is on the disk")
	text, err := os.ReadFile(filepath.Join(work, names[0].Name()))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "vault:v1:"), string(text))
	require.Equal(t, "session-keys.vault", names[0].Name())

	// The program reads what the commands wrote, and it has the staged key.
	for _, pair := range v.environment() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	keys, err := openKeys(t.Context(), place{transit: "session-keys", file: filepath.Join(work, "session-keys.vault")}, time.Minute)
	require.NoError(t, err)
	ring := keys.Ring(context.Background()).Keys()
	require.Len(t, ring, 2)
	require.Equal(t, keyring.Staged, ring[1].State(time.Now()))
}

// transitScript returns the shell commands of docs/secrets.md.
func transitScript(t *testing.T) string {
	page, err := os.ReadFile("../../docs/secrets.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)\n```sh\n(.*?)```\n").FindAllSubmatch(page, -1) {
		if strings.Contains(string(m[1]), "transit/encrypt") {
			return string(m[1])
		}
	}
	require.Fail(t, "docs/secrets.md has no commands for the transit engine")
	return ""
}

// vaultCommand is "vault write -field=FIELD PATH NAME=-", which the commands
// use, for machines without Vault's own program.
func vaultCommand(args []string) int {
	fail := func(err any) int { fmt.Fprintln(os.Stderr, "vault:", err); return 2 }
	if len(args) != 4 || args[0] != "write" || !strings.HasPrefix(args[1], "-field=") || !strings.HasSuffix(args[3], "=-") {
		return fail("unexpected " + strings.Join(args, " "))
	}
	value, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	client, err := newClient()
	if err != nil {
		return fail(err)
	}
	answer, err := client.Logical().Write(args[2], map[string]any{strings.TrimSuffix(args[3], "=-"): string(bytes.TrimRight(value, "\n"))})
	if err != nil {
		return fail(err)
	}
	field, ok := answer.Data[strings.TrimPrefix(args[1], "-field=")].(string)
	if !ok {
		return fail("no such field")
	}
	fmt.Println(field) // Vault's own program prints no line break unless it writes to a terminal
	return 0
}
