package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/internal/playground"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestMongoAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"mongodb://127.0.0.1":        "carryon",
		"mongodb://127.0.0.1/":       "carryon",
		"mongodb://127.0.0.1:1/shop": "shop",
		"mongodb://app:hunter2@a:1,b:2/shop?replicaSet=rs0&authSource=x": "shop",
		"mongodb://a:1,b:2/?replicaSet=rs0":                              "carryon",
		"mongodb://app:hunter%2F2@a/a%2Db":                               "a-b",
	} {
		_, name, err := mongoOptions(address)
		require.NoError(t, err, address)
		require.Equal(t, want, name, address)
		require.Equal(t, "mongodb", storeName(address))
	}
	for _, address := range []string{"mongodb://", "mongodb:x", "mongodb://app:hunter2@/x", "mongodb://app:hunter2@a:port/x"} {
		_, _, err := openStore(t.Context(), address)
		require.ErrorContains(t, err, "write mongodb://", address)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestMongoIsDown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := openStore(ctx, "mongodb://app:hunter2@127.0.0.1:1/x")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), "hunter2")
}

// startMongo starts the test server of mongostore, which is not a MongoDB but
// speaks its protocol.
func startMongo(t *testing.T) (address string) {
	program := filepath.Join(t.TempDir(), "serve")
	build := exec.Command("go", "build", "-o", program, "github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest/serve")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	server := exec.Command(program)
	stdin, err := server.StdinPipe()
	require.NoError(t, err)
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = stdin.Close() // the server ends with its input
		_ = server.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// A session that is too large for cookies moves to the store, is read by
// another replica, and moves back.
func TestSessionsInMongo(t *testing.T) {
	address := startMongo(t)
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	o := playground.Options{Name: middleware.DefaultName, Store: storeName(address)}
	replica := func() http.Handler {
		store, done, err := openStore(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = done() })
		c := o.Config(ring)
		c.Fallback.Store = store
		sessions, err := middleware.New(c)
		require.NoError(t, err)
		return playground.New(sessions, o)
	}
	visitor := &visitor{t, &sessiontest.Jar{}, replica()}
	visitor.want(204, "PUT", "/api/values/big", strings.Repeat("x", 100_000))
	require.Equal(t, "stored", visitor.picture().Mode)
	visitor.app = replica()
	p := visitor.picture()
	require.Equal(t, "stored", p.Mode)
	require.Equal(t, 1, p.StoreCalls)
	visitor.want(204, "DELETE", "/api/values/big", "")
	require.Equal(t, "inline", visitor.picture().Mode)
}

// visitor is a jar in front of a replica.
type visitor struct {
	*testing.T
	jar *sessiontest.Jar
	app http.Handler
}

// want makes a call, checks its status and returns the body.
func (v *visitor) want(status int, method, target, body string) []byte {
	v.Helper()
	response := v.jar.Do(v.app, v.jar.Request(method, target, strings.NewReader(body)))
	text, err := io.ReadAll(response.Body)
	require.NoError(v, err)
	require.Equal(v, status, response.StatusCode, "%s %s: %s", method, target, text)
	return text
}

// picture is the part of GET /api/session that the tests use.
type picture struct {
	Mode       string `json:"mode"`
	StoreCalls int    `json:"store_calls"`
}

func (v *visitor) picture() (p picture) {
	v.Helper()
	require.NoError(v, json.Unmarshal(v.want(200, "GET", "/api/session", ""), &p))
	return p
}
