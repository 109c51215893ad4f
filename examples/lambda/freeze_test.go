//go:build unix

package main

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// connections counts those that Redis holds, but for its own.
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

// sealers are the keys that sealed the visitor's cookies.
func (v *visitor) sealers() (ids []keyring.ID) {
	v.Helper()
	for _, name := range v.jar.Names() {
		raw, err := base64.RawURLEncoding.DecodeString(v.jar.Value(name)[:8])
		require.NoError(v, err)
		ids = append(ids, keyring.ID(raw[1:5]))
	}
	return ids
}

// Frozen for longer than the ring is trusted and than Redis keeps a connection,
// and with the ring rotated meanwhile, the function goes on as if nothing had
// been: nobody is logged out, no request fails, and the new key seals.
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

	for range 2 { // a second time on the connections of the first thaw
		kept := false // from request to request; but Redis may be quicker than a slow machine
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
		require.Equal(t, []keyring.ID{ring.Active(time.Now()).ID()}, other.sealers(), "the rotated ring is in use")
	}
	require.NotContains(t, f.Log(), `"level":"ERROR"`)
}
