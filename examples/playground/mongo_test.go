package main

import (
	"bufio"
	"context"
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

// startMongo starts the server that mongostore is tested on. It is no MongoDB,
// but speaks its protocol.
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
		_ = stdin.Close() // it ends with its input
		_ = server.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// A session that is too large for cookies goes to the store, is read by
// another replica, and comes back.
func TestSessionsInMongo(t *testing.T) {
	address := startMongo(t)
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	o := playground.Options{Name: middleware.DefaultName, Lifetime: middleware.DefaultLifetime, Idle: middleware.DefaultIdleTimeout, Store: storeName(address)}
	replica := func() http.Handler {
		store, done, err := openStore(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = done() })
		c := o.Config(ring)
		c.Fallback = store
		sessions, err := middleware.New(c)
		require.NoError(t, err)
		return playground.New(sessions, o)
	}
	var jar sessiontest.Jar
	app := replica()
	call := func(status int, method, target, body string) string {
		answer := jar.Do(app, jar.Request(method, target, strings.NewReader(body)))
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, status, answer.StatusCode, string(text))
		return string(text)
	}
	call(204, "PUT", "/api/values/big", strings.Repeat("x", 100_000))
	require.Contains(t, call(200, "GET", "/api/session", ""), `"mode":"stored"`)
	app = replica()
	picture := call(200, "GET", "/api/session", "")
	require.Contains(t, picture, `"mode":"stored"`)
	require.Contains(t, picture, `"store_calls":1`)
	call(204, "DELETE", "/api/values/big", "")
	require.Contains(t, call(200, "GET", "/api/session", ""), `"mode":"inline"`)
}
