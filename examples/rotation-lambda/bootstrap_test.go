package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

func TestBootstrap(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the function")
	}
	aws := managertest.NewAWS(t)
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	aws.PutSecret(name, string(text))
	aws.EnableRotation(name, true)
	f := lambdatest.Start(t, lambdatest.Build(t, "."), append(aws.Environment(), "CARRYON_ACTIVATE_IN=2h")...)

	// Events in the form of Secrets Manager, with and without a token for
	// assumed roles, and with members that this function does not know.
	token, err := aws.BeginRotation(name)
	require.NoError(t, err)
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		event := fmt.Sprintf(`{
  "Step": %q,
  "SecretId": %q,
  "ClientRequestToken": %q,
  "RotationToken": "abcd1234-efgh-5678-ijkl-8ab4515a7db0",
  "Unknown": {"a": [1]}
}`, step, aws.ARN(name), token)
		end := f.Invoke([]byte(event))
		require.Equal(t, "response", end.Kind, "%s: %s", step, end.Body)
		require.Equal(t, "null", string(end.Body))
	}
	id, now := aws.Version(name, managertest.Current)
	require.Equal(t, token, id)
	next, err := keyring.Parse([]byte(now))
	require.NoError(t, err)
	require.Len(t, next.Keys(), 2)
	require.WithinRange(t, next.Keys()[1].Activates(), time.Now().Add(time.Hour), time.Now().Add(2*time.Hour+time.Second))

	// An error is returned to Secrets Manager, and the process continues.
	end := f.Invoke(fmt.Appendf(nil, `{"Step":"createSecret","SecretId":%q,"ClientRequestToken":"00000000-0000-0000-0000-000000000000"}`, aws.ARN(name)))
	require.Equal(t, "error", end.Kind)
	var report struct{ ErrorMessage, ErrorType string }
	require.NoError(t, json.Unmarshal(end.Body, &report))
	require.Contains(t, report.ErrorMessage, "no version of this token")
	end = f.Invoke(fmt.Appendf(nil, `{"Step":"finishSecret","SecretId":%q,"ClientRequestToken":%q}`, aws.ARN(name), token))
	require.Equal(t, "response", end.Kind)
	require.NotContains(t, f.Log(), `\"secret\"`)
}

// An invalid setting ends the process at startup, with a clear log line.
func TestBootstrapRefusesSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the function")
	}
	cmd := exec.Command(lambdatest.Build(t, "."))
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", "CARRYON_OVERLAP=1h"}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	var line struct{ Msg, Error string }
	require.NoError(t, json.Unmarshal(out, &line), string(out))
	require.Contains(t, line.Error, "CARRYON_OVERLAP is 1h0m0s, and must be at least")
}

// The policy in README.md allows exactly the calls that the function makes.
func TestPolicyAllowsTheCallsMade(t *testing.T) {
	r := newRotation(t)
	r.aws.Calls()
	r.rotate()
	r.now = r.now.Add(day)
	token := r.begin()
	require.NoError(t, r.step("createSecret", token))
	r.now = r.now.Add(day)
	require.Error(t, r.step("testSecret", token)) // gives up the pending version
	made := map[string]bool{}
	for _, call := range r.aws.Calls() {
		made["secretsmanager:"+call] = true
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "cat >permissions.json <<'END'\n")
	policy, _, found := strings.Cut(rest, "\nEND\n")
	require.True(t, found)
	var document struct {
		Version   string
		Statement []struct {
			Effect, Resource string
			Action           []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(policy), &document))
	require.Len(t, document.Statement, 1)
	allowed := map[string]bool{}
	for _, action := range document.Statement[0].Action {
		allowed[action] = true
	}
	require.Equal(t, made, allowed)
}
