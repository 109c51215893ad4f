//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/fallback/dynamostore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// connections returns the number of client connections of Redis, without its
// own.
func connections(t *testing.T, address string) int {
	t.Helper()
	o, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(o)
	defer client.Close()
	list, err := client.ClientList(context.Background()).Result()
	require.NoError(t, err)
	return strings.Count(list, "\n") - 1
}

// sealers returns the keys that sealed the visitor's cookies.
func (v *visitor) sealers() (ids []keyring.ID) {
	v.Helper()
	for _, name := range v.jar.Names() {
		raw, err := base64.RawURLEncoding.DecodeString(v.jar.Value(name)[:8])
		require.NoError(v, err)
		ids = append(ids, keyring.ID(raw[1:5]))
	}
	return ids
}

// The function is frozen for longer than the reload interval and Redis's
// timeout, and the ring is rotated meanwhile. After that, no one is logged
// out, no request fails, and the new key seals.
func TestFreezeAndThaw(t *testing.T) {
	address := startRedis(t)
	aws := managertest.NewAWS(t)
	ring, text := ringOf(t)
	aws.PutSecret("ring", text)
	env := append(aws.Environment(), "CARRYON_SECRET=ring", "CARRYON_RELOAD=1s", "CARRYON_STORE="+address)
	f := start(t, env...)
	v := newVisitor(t, lambdatest.Visitor{Front: lambdatest.HTTPAPI, Function: f})
	v.call(204, "PUT", "/api/values/name", "Ada")
	v.call(204, "PUT", "/api/values/big", strings.Repeat("x", 50_000))
	require.Contains(t, v.call(200, "GET", "/api/session", ""), `"mode":"stored"`)
	require.Contains(t, v.sealers(), ring.Active(time.Now()).ID())

	for range 2 { // the second time with the connections of the first thaw
		kept := false // kept between requests, unless Redis is faster than a slow machine
		for i := 0; i < 20 && !kept; i++ {
			require.Len(t, v.call(200, "GET", "/api/values/big", ""), 50_000)
			kept = connections(t, address) > 0
		}
		require.True(t, kept)
		f.Freeze()
		require.Eventually(t, func() bool { return connections(t, address) == 0 }, lambdatest.Patience, 50*time.Millisecond)
		next, _, err := ring.Rotate(time.Now(), keyring.Policy{ActivateIn: -1})
		require.NoError(t, err)
		ring = next
		text, err := ring.Marshal()
		require.NoError(t, err)
		aws.PutSecret("ring", string(text))
		f.Thaw()
		require.Equal(t, "Ada", v.call(200, "GET", "/api/values/name", ""))
		require.Len(t, v.call(200, "GET", "/api/values/big", ""), 50_000)
		v.call(204, "PUT", "/api/values/more", "1")
		other := newVisitor(t, v.client.Transport)
		other.call(204, "PUT", "/api/values/name", "Bob")
		require.Equal(t, []keyring.ID{ring.Active(time.Now()).ID()}, other.sealers(), "the rotated ring is used")
	}
	require.NotContains(t, f.Log(), `"level":"ERROR"`)
}

// cutter forwards connections to a server, and can close all of them, as a
// server does after a timeout.
type cutter struct {
	net.Listener
	mu   sync.Mutex
	open []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{Listener: listener}
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut()
	})
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			c.mu.Lock()
			c.open = append(c.open, from, server)
			c.mu.Unlock()
			go func() { _, _ = io.Copy(server, from) }()
			go func() { _, _ = io.Copy(from, server) }()
		}
	}()
	return c
}

// cut closes all connections and returns their number.
func (c *cutter) cut() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		_ = conn.Close()
	}
	n, c.open = len(c.open), nil
	return n
}

// DynamoDB closes connections that were idle for long; the function then opens
// new ones.
func TestFreezeWithDynamoDB(t *testing.T) {
	engine := os.Getenv("CARRYON_TEST_DYNAMODB")
	if engine == "" {
		const what = "CARRYON_TEST_DYNAMODB is not set"
		if os.Getenv("CI") == "true" {
			t.Fatal(what + "; it is required in CI")
		}
		t.Skip(what)
	}
	u, err := url.Parse(engine)
	require.NoError(t, err)
	table := makeTable(t, engine)
	server := newCutter(t, u.Host)
	_, text := ringOf(t)
	f := start(t, "CARRYON_KEYS="+text, "CARRYON_STORE=dynamodb:"+table, "AWS_ENDPOINT_URL_DYNAMODB=http://"+server.Addr().String(),
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	v := newVisitor(t, lambdatest.Visitor{Front: lambdatest.URL, Function: f})
	v.call(204, "PUT", "/api/values/big", strings.Repeat("x", 50_000))
	for range 2 {
		f.Freeze()
		require.Positive(t, server.cut(), "connections are kept between requests")
		f.Thaw()
		require.Contains(t, v.call(200, "GET", "/api/session", ""), `"mode":"stored"`)
		require.Len(t, v.call(200, "GET", "/api/values/big", ""), 50_000)
		v.call(204, "PUT", "/api/values/more", "1")
	}
	require.NotContains(t, f.Log(), `"level":"ERROR"`)
}

// makeTable creates the table, as the deployment does.
func makeTable(t *testing.T, engine string) string {
	table := "carryon_test." + rand.Text()[:12]
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-central-1", BaseEndpoint: &engine, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}, dynamostore.ClientOptions)
	store, err := dynamostore.New(client, dynamostore.Options{Table: table})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	return table
}
