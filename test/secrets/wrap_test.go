// Package secrets runs what docs/secrets.md says about encrypted rings and
// Kubernetes, with the real age and the schemas of Kubernetes and the External
// Secrets Operator.
package secrets

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
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// blocks returns the code blocks of docs/secrets.md in a language.
func blocks(t *testing.T, language string) (list []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/secrets.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```\n").FindAllStringSubmatch(string(page), -1) {
		list = append(list, m[1])
	}
	require.NotEmpty(t, list)
	return list
}

// script returns the shell commands of docs/secrets.md that contain a text.
func script(t *testing.T, text string) string {
	for _, block := range blocks(t, "sh") {
		if strings.Contains(block, text) {
			return block
		}
	}
	require.Fail(t, "docs/secrets.md has no commands with "+text)
	return ""
}

// programs is the folder with carryon, age and age-keygen, built once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "carryon-secrets")
	for program, from := range map[string]string{"filippo.io/age/cmd/age": ".", "filippo.io/age/cmd/age-keygen": ".", "./cmd/carryon": "../.."} {
		if err == nil {
			err = build(program, from, dir+string(filepath.Separator))
		}
	}
	return dir, err
})

func build(program, from, to string) error {
	command := exec.Command("go", "build", "-o", to, program)
	command.Dir = from
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// A shell runs scripts in a folder of its own.
type shell struct {
	*testing.T
	dir, bin string
}

func newShell(t *testing.T) *shell {
	if testing.Short() {
		t.Skip("this test builds programs")
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the commands need a POSIX shell")
	}
	bin, err := programs()
	require.NoError(t, err)
	return &shell{t, t.TempDir(), bin}
}

// run runs a script and returns its output.
func (s *shell) run(script string) string {
	s.Helper()
	command := exec.Command("sh", "-euc", script)
	command.Dir = s.dir
	command.Env = []string{"PATH=" + s.dir + "/bin:" + s.bin + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir}
	out, err := command.CombinedOutput()
	require.NoError(s, err, string(out))
	return string(out)
}

// onlyWrapped checks that the files of the folder hold no secret of the ring.
func (s *shell) onlyWrapped(ring *keyring.Ring, files ...string) {
	text, err := ring.Marshal()
	require.NoError(s, err)
	secrets := regexp.MustCompile(`"secret":"([^"]+)"`).FindAllSubmatch(text, -1)
	require.Len(s, secrets, len(ring.Keys()))
	var names []string
	err = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		names = append(names, d.Name())
		content, err := os.ReadFile(path)
		for _, secret := range secrets {
			require.NotContains(s, string(content), string(secret[1]), path)
		}
		return err
	})
	require.NoError(s, err)
	require.ElementsMatch(s, files, names, "no other file remains")
}

func openKeys(ctx context.Context, file string, identity age.Identity) (*keyring.Keys, error) {
	unwrap := func(_ context.Context, wrapped []byte) ([]byte, error) {
		r, err := age.Decrypt(bytes.NewReader(wrapped), identity)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return keyring.Open(ctx, keyring.Wrapped(keyring.File(file), unwrap))
}

func (s *shell) identity(file string) age.Identity {
	f, err := os.Open(filepath.Join(s.dir, file))
	require.NoError(s, err)
	defer f.Close()
	identities, err := age.ParseIdentities(f)
	require.NoError(s, err)
	require.Len(s, identities, 1)
	return identities[0]
}

// The commands of the page, with the real age: init, rotate, list, and another
// identity that takes over.
func TestAge(t *testing.T) {
	s := newShell(t)
	out := s.run(script(t, "carryon keys init --wrap \"age"))
	require.Contains(t, out, "made session-keys.age, encrypted")
	require.Contains(t, out, "staged")

	file := filepath.Join(s.dir, "session-keys.age")
	require.NoError(t, os.Chmod(file, 0o644)) // as in a repository
	keys, err := openKeys(t.Context(), file, s.identity("next.txt"))
	require.NoError(t, err)
	ring := keys.Ring(t.Context())
	require.Len(t, ring.Keys(), 2)
	require.Equal(t, keyring.Staged, ring.Keys()[1].State(time.Now()))
	s.onlyWrapped(ring, "session-keys.age", "identity.txt", "next.txt")

	_, err = openKeys(t.Context(), file, s.identity("identity.txt"))
	require.ErrorContains(t, err, "did not match any of the recipients", "the old identity is of no use")
	require.NotContains(t, err.Error(), "AGE-SECRET-KEY")

	// A plain ring, and one that is cut off.
	text, err := ring.Marshal()
	require.NoError(t, err)
	plain := filepath.Join(s.dir, "plain.json")
	require.NoError(t, os.WriteFile(plain, text, 0o600))
	_, err = openKeys(t.Context(), plain, s.identity("next.txt"))
	require.ErrorContains(t, err, "it is not encrypted")
	wrapped, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(plain, wrapped[:len(wrapped)-1], 0o600))
	_, err = openKeys(t.Context(), plain, s.identity("next.txt"))
	require.ErrorContains(t, err, "cannot unwrap it")
}

// A running program follows a rotation of the encrypted file.
func TestAgeWhileAProgramRuns(t *testing.T) {
	s := newShell(t)
	s.run(`age-keygen -o identity.txt; carryon keys init --wrap "age -r $(age-keygen -y identity.txt)" session-keys.age`)
	keys, err := openKeys(t.Context(), filepath.Join(s.dir, "session-keys.age"), s.identity("identity.txt"))
	require.NoError(t, err)
	first := keys.Ring(t.Context())
	s.run(`carryon keys rotate --unwrap 'age -d -i identity.txt' --wrap "age -r $(age-keygen -y identity.txt)" session-keys.age`)
	second := keys.Refresh(t.Context())
	require.Len(t, second.Keys(), 2)
	require.Equal(t, first.Keys()[0].ID(), second.Keys()[0].ID())
}

// A wrong recipient is found before the ring is replaced.
func TestAgeWithAnotherRecipient(t *testing.T) {
	s := newShell(t)
	s.run(`age-keygen -o identity.txt; age-keygen -o other.txt
		carryon keys init --wrap "age -r $(age-keygen -y identity.txt)" session-keys.age
		cp session-keys.age before
		! carryon keys rotate --unwrap 'age -d -i identity.txt' --wrap "age -r $(age-keygen -y other.txt)" session-keys.age 2>said
		grep 'cannot be decrypted again' said
		cmp session-keys.age before`)
}

// The page shows the function that these tests use.
func TestThePageShowsWhatRuns(t *testing.T) {
	source, err := os.ReadFile("wrap_test.go")
	require.NoError(t, err)
	shown := 0
	for _, block := range blocks(t, "go") {
		if strings.Contains(block, "func openKeys") {
			require.Contains(t, string(source), "\n"+block)
			shown++
		}
	}
	require.Equal(t, 1, shown)
}

// SOPS is a program of its own, which takes minutes to build: CI_LONG=1 bash .ci/run
// does.
func TestSOPS(t *testing.T) {
	if _, err := exec.LookPath("sops"); err != nil && os.Getenv("CI_LONG") != "" {
		t.Fatal("sops is missing, but CI_LONG requires it")
	} else if err != nil {
		t.Skip("sops is not installed")
	}
	s := newShell(t)
	s.run(script(t, "sops encrypt"))
	text, err := os.ReadFile(filepath.Join(s.dir, "session-keys.sops.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), "ENC[AES256_GCM,")
	ring, err := keyring.Parse([]byte(s.run("SOPS_AGE_KEY_FILE=identity.txt sops decrypt --input-type json --output-type binary session-keys.sops.json")))
	require.NoError(t, err)
	require.Len(t, ring.Keys(), 2)
	s.onlyWrapped(ring, "session-keys.sops.json", "identity.txt")
}

// services simulates the command lines of two key services, as far as the page
// uses them. They encrypt with age. They refuse any other arguments.
var services = map[string]string{
	"aws": `#!/bin/sh
set -eu
case "$*" in
"kms encrypt --key-id alias/session-keys --plaintext fileb:///dev/stdin --query CiphertextBlob --output text")
	head -c 4097 >"$HOME/text"
	[ "$(wc -c <"$HOME/text")" -le 4096 ] || { rm "$HOME/text"; echo "the plaintext is too long" >&2; exit 254; }
	age -r "$(age-keygen -y "$HOME/kms.txt")" <"$HOME/text" | base64
	rm "$HOME/text" ;;
"kms decrypt --ciphertext-blob fileb:///dev/stdin --query Plaintext --output text")
	age -d -i "$HOME/kms.txt" | base64 ;;
*)
	echo "unexpected: aws $*" >&2; exit 64 ;;
esac
`,
	"gcloud": `#!/bin/sh
set -eu
case "$*" in
"kms encrypt --location=global --keyring=carryon --key=session-keys --plaintext-file=- --ciphertext-file=-")
	age -r "$(age-keygen -y "$HOME/kms.txt")" ;;
"kms decrypt --location=global --keyring=carryon --key=session-keys --ciphertext-file=- --plaintext-file=-")
	age -d -i "$HOME/kms.txt" ;;
*)
	echo "unexpected: gcloud $*" >&2; exit 64 ;;
esac
`,
}

// The commands for services that no test can have. The simulations check that
// the commands fit carryon, not that they fit the services: for those, see the
// documentation that the page cites.
func TestKeyServices(t *testing.T) {
	for name, program := range services {
		t.Run(name, func(t *testing.T) {
			s := newShell(t)
			s.run("mkdir bin; age-keygen -o kms.txt")
			require.NoError(t, os.WriteFile(filepath.Join(s.dir, "bin", name), []byte(program), 0o700))
			s.run(script(t, name+" kms encrypt"))
			keys, err := openKeys(t.Context(), filepath.Join(s.dir, "session-keys.kms"), s.identity("kms.txt"))
			require.NoError(t, err)
			ring := keys.Ring(t.Context())
			require.Len(t, ring.Keys(), 2)
			s.onlyWrapped(ring, "session-keys.kms", "kms.txt", name)
		})
	}
}
