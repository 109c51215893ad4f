package managertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// tool simulates the managers' command lines, as far as docs/secrets.md uses
// them. It stores the secret in the file $STORE, and a line for each version
// in $STORE.put. It refuses any other command.
const tool = `#!/bin/bash
set -eu
put() { [ -s "$1" ] || exit 2; cp "$1" "$STORE"; echo put >>"$STORE.put"; }
case "$(basename "$0") $*" in
"aws secretsmanager get-secret-value --secret-id carryon/session-keys --query SecretString --output text" | \
"aws ssm get-parameter --name /carryon/session-keys --with-decryption --query Parameter.Value --output text")
	cat "$STORE"; echo ;;
"gcloud secrets versions access latest --secret=session-keys" | \
"vault kv get -mount=secret -field=ring session-keys")
	cat "$STORE" ;;
"az keyvault secret download --vault-name example --name session-keys --encoding utf-8 --file "*)
	[ ! -e "${11}" ]; cat "$STORE" >"${11}" ;;
"aws secretsmanager put-secret-value --secret-id carryon/session-keys --secret-string file://"*)
	put "${6#file://}" ;;
"aws ssm put-parameter --name /carryon/session-keys --type SecureString --overwrite --value file://"*)
	put "${9#file://}" ;;
"gcloud secrets versions add session-keys --data-file="*)
	put "${5#--data-file=}" ;;
"vault kv put -mount=secret session-keys ring=@"*)
	put "${5#ring=@}" ;;
"az keyvault secret set --vault-name example --name session-keys --encoding utf-8 --file "*" --output none")
	put "${11}" ;;
*)
	echo "unexpected: $(basename "$0") $*" >&2; exit 64 ;;
esac
`

// scripts returns the shell scripts of docs/secrets.md that change a ring.
func scripts(t *testing.T) (rotate, revoke []string) {
	text, err := os.ReadFile("../../../docs/secrets.md")
	require.NoError(t, err)
	for _, match := range regexp.MustCompile("(?s)\n```sh\n(.*?)```\n").FindAllSubmatch(text, -1) {
		script := string(match[1])
		switch {
		case !strings.Contains(script, "mktemp"): // test/secrets runs the others
		case strings.Contains(script, "keys rotate"):
			rotate = append(rotate, script)
		case strings.Contains(script, "keys revoke"):
			revoke = append(revoke, script)
		}
	}
	require.Len(t, rotate, 5)
	require.Len(t, revoke, 1)
	return rotate, revoke
}

// An operatorShell is the environment in which an operator runs the scripts.
type operatorShell struct {
	*testing.T
	bin, store string
}

func newOperatorShell(t *testing.T) *operatorShell {
	if testing.Short() {
		t.Skip("builds the command")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	d := &operatorShell{t, t.TempDir(), filepath.Join(t.TempDir(), "store")}
	build := exec.Command("go", "build", "-o", filepath.Join(d.bin, "carryon"), "./cmd/carryon")
	build.Dir = "../../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{"aws", "gcloud", "vault", "az"} {
		require.NoError(t, os.WriteFile(filepath.Join(d.bin, name), []byte(tool), 0o700))
	}
	return d
}

// run runs a script, returns its output, and checks that it leaves no ring
// behind.
func (d *operatorShell) run(script string, env ...string) (string, error) {
	temp := d.TempDir()
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(env, "PATH="+d.bin+":"+os.Getenv("PATH"), "STORE="+d.store, "TMPDIR="+temp, "HOME="+temp)
	out, err := cmd.CombinedOutput()
	left, readErr := os.ReadDir(temp)
	require.NoError(d, readErr)
	require.Empty(d, left, "the script leaves files behind")
	return string(out), err
}

// storeRing stores a ring with one key of the given age.
func (d *operatorShell) storeRing(age time.Duration) *keyring.Ring {
	ring, err := keyring.Generate(time.Now().Add(-age))
	require.NoError(d, err)
	require.NoError(d, os.WriteFile(d.store, []byte(marshal(d, ring)), 0o600))
	os.Remove(d.store + ".put")
	return ring
}

func (d *operatorShell) ring() *keyring.Ring {
	text, err := os.ReadFile(d.store)
	require.NoError(d, err)
	ring, err := keyring.Parse(text)
	require.NoError(d, err)
	return ring
}

func (d *operatorShell) writes() int {
	text, _ := os.ReadFile(d.store + ".put")
	return strings.Count(string(text), "put")
}

func TestScriptsThatRotate(t *testing.T) {
	d := newOperatorShell(t)
	all, _ := scripts(t)
	for _, script := range all {
		old := d.storeRing(31 * 24 * time.Hour)
		out, err := d.run(script)
		require.NoError(t, err, out)
		next := d.ring()
		require.Len(t, next.Keys(), 2)
		require.Equal(t, keyring.Staged, next.Keys()[1].State(time.Now()))
		problems, err := old.CheckNext(next, time.Now(), keyring.Policy{ActivateIn: 30 * time.Minute})
		require.NoError(t, err)
		require.Empty(t, problems)
		noSecrets(t, out, next)

		out, err = d.run(script)
		require.NoError(t, err, out)
		require.Equal(t, 1, d.writes(), "the second run of a day creates no version")

		d.storeRing(20 * 24 * time.Hour)
		out, err = d.run(script)
		require.NoError(t, err, out)
		require.Zero(t, d.writes(), "the key is not old enough")

		require.NoError(t, os.WriteFile(d.store, []byte("{}"), 0o600))
		_, err = d.run(script)
		require.Error(t, err, "an invalid ring is not changed")
		require.Zero(t, d.writes())

		require.NoError(t, os.Remove(d.store))
		_, err = d.run(script)
		require.Error(t, err, "the secret cannot be read")
		require.Zero(t, d.writes())
	}
}

func TestScriptThatRevokes(t *testing.T) {
	d := newOperatorShell(t)
	_, all := scripts(t)
	leaked := d.storeRing(time.Hour).Keys()[0].ID()
	out, err := d.run(all[0], "KEY_ID="+leaked.String())
	require.NoError(t, err, out)
	_, state := d.ring().Find(leaked, time.Now())
	require.Equal(t, keyring.Revoked, state)
	require.Equal(t, 1, d.writes())

	_, err = d.run(all[0], "KEY_ID=00000000")
	require.Error(t, err, "there is no such key")
	require.Equal(t, 1, d.writes())
}
