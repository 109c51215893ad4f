package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

// lambdaService is the Runtime API that Lambda offers to a function's process.
type lambdaService struct {
	t      *testing.T
	events chan string // the next event
	ends   chan ending // what became of it
}

// ending is what the function reports: a response or an error.
type ending struct {
	id, kind, body string
}

const runtimePath = "/2018-06-01/runtime/"

func (l *lambdaService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, runtimePath)
	parts := strings.Split(path, "/")
	switch {
	case r.Method == http.MethodGet && path == "invocation/next":
		l.next(w, r)
	case r.Method == http.MethodPost && len(parts) == 3 && parts[0] == "invocation":
		w.WriteHeader(http.StatusAccepted)
		l.ends <- ending{parts[1], parts[2], string(body)}
	default:
		l.t.Errorf("the Runtime API has no %s %s: %s", r.Method, r.URL.Path, body)
		http.NotFound(w, r)
	}
}

func (l *lambdaService) next(w http.ResponseWriter, r *http.Request) {
	select {
	case event := <-l.events:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprintf("8476a536-e9f4-11e8-9739-%012d", time.Now().UnixMicro()%1e12))
		h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111122223333:function:rotate-session-keys")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		io.WriteString(w, event)
	case <-r.Context().Done(): // the process was ended
	}
}

// invoke has the process handle an event.
func (l *lambdaService) invoke(event string) ending {
	l.t.Helper()
	select {
	case l.events <- event:
	case <-time.After(time.Minute):
		require.Fail(l.t, "the process does not ask for an event")
	}
	select {
	case end := <-l.ends:
		return end
	case <-time.After(time.Minute):
		require.Fail(l.t, "the process does not answer")
	}
	return ending{}
}

// build makes the function as README.md says, but for this machine.
func build(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "bootstrap")
	out, err := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", file, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return file
}

// start runs the function's process until the test ends.
func (l *lambdaService) start(file string, env []string) *bytes.Buffer {
	server := httptest.NewServer(l)
	cmd := exec.Command(file)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(server.URL, "http://")}, env...)
	log := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(l.t, cmd.Start())
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		server.CloseClientConnections()
		server.Close()
		require.NotContains(l.t, log.String(), `\"secret\"`)
	})
	return log
}

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
	l := &lambdaService{t, make(chan string), make(chan ending, 1)}
	l.start(build(t), append(aws.Environment(), "CARRYON_ACTIVATE_IN=2h"))

	// Events of the shape that Secrets Manager sends, with and without a token
	// for assumed roles, and with members that this function does not know yet.
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
		end := l.invoke(event)
		require.Equal(t, "response", end.kind, "%s: %s", step, end.body)
		require.Equal(t, "null", end.body)
	}
	id, now := aws.Version(name, managertest.Current)
	require.Equal(t, token, id)
	next, err := keyring.Parse([]byte(now))
	require.NoError(t, err)
	require.Len(t, next.Keys(), 2)
	require.WithinRange(t, next.Keys()[1].Activates(), time.Now().Add(time.Hour), time.Now().Add(2*time.Hour+time.Second))

	// An error reaches Secrets Manager, and the process goes on.
	end := l.invoke(fmt.Sprintf(`{"Step":"createSecret","SecretId":%q,"ClientRequestToken":"00000000-0000-0000-0000-000000000000"}`, aws.ARN(name)))
	require.Equal(t, "error", end.kind)
	var report struct{ ErrorMessage, ErrorType string }
	require.NoError(t, json.Unmarshal([]byte(end.body), &report))
	require.Contains(t, report.ErrorMessage, "no version of this token")
	require.Equal(t, "response", l.invoke(fmt.Sprintf(`{"Step":"finishSecret","SecretId":%q,"ClientRequestToken":%q}`, aws.ARN(name), token)).kind)
}

// A wrong setting ends the process when it starts, with a sentence in its log.
func TestBootstrapRefusesSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the function")
	}
	cmd := exec.Command(build(t))
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", "CARRYON_OVERLAP=1h"}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	var line struct{ Msg, Error string }
	require.NoError(t, json.Unmarshal(out, &line), string(out))
	require.Contains(t, line.Error, "CARRYON_OVERLAP is 1h0m0s, and must be at least")
}

// What README.md lets the function do is what it does.
func TestPolicyAllowsTheCallsMade(t *testing.T) {
	r := newRotation(t)
	r.aws.Calls()
	r.rotate()
	r.now = r.now.Add(day)
	token := r.begin()
	require.NoError(t, r.step("createSecret", token))
	r.now = r.now.Add(day)
	require.Error(t, r.step("testSecret", token)) // which gives it up
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
