package redisstore_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/redisstore"
)

func newStore(t testing.TB, client redis.UniversalClient, o redisstore.Options) *redisstore.Store {
	t.Helper()
	store, err := redisstore.New(client, o)
	require.NoError(t, err)
	return store
}

// connect returns a client of a running Redis. If there is none, the test is
// skipped, or fails in CI, which starts one.
func connect(t testing.TB) redis.UniversalClient {
	t.Helper()
	return dial(t, &redis.UniversalOptions{Addrs: []string{cmp.Or(os.Getenv("CARRYON_TEST_REDIS"), "127.0.0.1:6379")}})
}

func dial(t testing.TB, o *redis.UniversalOptions) redis.UniversalClient {
	t.Helper()
	client := redisstore.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		missing(t, "Redis is not running: %v", err)
	}
	return client
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+"; it is required in CI", args...)
	}
	t.Skipf(format, args...)
}

// newPrefix returns an unused prefix with all special characters of patterns,
// and clears it after the test.
func newPrefix(t testing.TB, o *redis.UniversalOptions) string {
	t.Helper()
	prefix := "carryon-test*?[a]\\:" + rand.Text()[:12] + ":"
	t.Cleanup(func() {
		client := redisstore.NewClient(o) // a test may have closed its own client
		defer client.Close()
		require.NoError(t, newStore(t, client, redisstore.Options{Prefix: prefix}).Clear(context.Background()))
	})
	return prefix
}

// conform runs the suite against a server.
func conform(t *testing.T, o *redis.UniversalOptions) {
	t.Helper()
	fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
		client, clock := dial(t, o), fallbacktest.NewClock()
		opt := redisstore.Options{Prefix: newPrefix(t, o), Clock: clock.Now}
		return fallbacktest.Setup{
			Store: newStore(t, client, opt), Other: newStore(t, dial(t, o), opt), Now: clock.Now, Advance: clock.Advance,
			Skewed: func(d time.Duration) fallback.Store {
				fast := opt
				fast.Clock = func() time.Time { return clock.Now().Add(d) }
				return newStore(t, client, fast)
			},
			Break: func() { _ = client.Close() },
		}
	})
}

func options() *redis.UniversalOptions {
	return &redis.UniversalOptions{Addrs: []string{cmp.Or(os.Getenv("CARRYON_TEST_REDIS"), "127.0.0.1:6379")}}
}

func TestConformance(t *testing.T) { conform(t, options()) }

// The stored form matches the documentation.
func TestStoredForm(t *testing.T) {
	client := connect(t)
	prefix := newPrefix(t, options())
	store := newStore(t, client, redisstore.Options{Prefix: prefix, Clock: func() time.Time { return time.UnixMilli(1) }})
	expires := time.UnixMilli(2_000_000_000_123).Add(999 * time.Microsecond)
	rec := fallback.Record{Revision: fallback.Revision{Number: 0x0102030405060708, Tag: [16]byte{0xaa, 15: 0xbb}},
		Data: []byte("sealed\x00"), Expires: expires}
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))

	want := hex.EncodeToString([]byte("c1")) + "0102030405060708" + "aa0000000000000000000000000000bb" +
		hex.EncodeToString([]byte("0002000000000123sealed\x00"))
	got, err := client.Get(t.Context(), prefix+"id").Bytes()
	require.NoError(t, err)
	require.Equal(t, want, hex.EncodeToString(got))

	ends, err := client.PExpireTime(t.Context(), prefix+"id").Result()
	require.NoError(t, err)
	require.Equal(t, int64(2_000_000_000_123+60_000), ends.Milliseconds(), "one minute for replicas whose clocks are behind")

	require.NoError(t, store.Touch(t.Context(), "id", time.UnixMilli(2_100_000_000_000)))
	ends, err = client.PExpireTime(t.Context(), prefix+"id").Result()
	require.NoError(t, err)
	require.Equal(t, int64(2_100_000_060_000), ends.Milliseconds())
}

// A key of another program is neither read nor overwritten.
func TestForeignKeys(t *testing.T) {
	client := connect(t)
	prefix := newPrefix(t, options())
	store := newStore(t, client, redisstore.Options{Prefix: prefix})
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
	for _, value := range []string{"x", "c1", strings.Repeat("x", 42), "c1" + strings.Repeat("x", 40), strings.Repeat("x", 2000)} {
		require.NoError(t, client.Set(t.Context(), prefix+"id", value, 0).Err())
		_, loaded := store.Load(t.Context(), "id")
		errs := []error{loaded}
		if len(value) < 42 || value[0] != 'c' {
			errs = append(errs, store.Save(t.Context(), "id", fallback.Revision{}, rec), store.Touch(t.Context(), "id", rec.Expires))
		}
		for _, err := range errs {
			require.ErrorContains(t, err, "use another prefix", "%q", value)
		}
		got, err := client.Get(t.Context(), prefix+"id").Result()
		require.NoError(t, err)
		require.Equal(t, value, got)
	}
	require.NoError(t, client.Del(t.Context(), prefix+"id").Err())
	require.NoError(t, client.HSet(t.Context(), prefix+"id", "a", "b").Err())
	_, err := store.Load(t.Context(), "id")
	require.ErrorContains(t, err, "WRONGTYPE")
	require.NotErrorIs(t, err, fallback.ErrNotFound)
}

// Clear removes keys that begin with the prefix, not keys that match it as a
// pattern.
func TestClearLeavesOtherPrefixes(t *testing.T) {
	client := connect(t)
	mine, other := newPrefix(t, options()), newPrefix(t, options())
	store := newStore(t, client, redisstore.Options{Prefix: mine})
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
	near := strings.Replace(mine, "*", "x", 1)
	require.NoError(t, client.Set(t.Context(), near+"id", "kept", time.Minute).Err())
	t.Cleanup(func() { client.Del(context.Background(), near+"id") })
	require.NoError(t, newStore(t, client, redisstore.Options{Prefix: other}).Save(t.Context(), "id", fallback.Revision{}, rec))
	for i := range 2500 { // more than one step of a scan
		require.NoError(t, store.Save(t.Context(), string(rune('a'+i%26))+rand.Text(), fallback.Revision{}, rec))
	}
	n, err := store.Len(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2500, n)
	require.NoError(t, store.Clear(t.Context()))
	n, err = store.Len(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, "kept", client.Get(t.Context(), near+"id").Val())
	require.Equal(t, int64(1), client.Exists(t.Context(), other+"id").Val())
}

// A server that has lost its scripts, for example after a restart, gets them
// again.
func TestScriptsAreSentAgain(t *testing.T) {
	server := startServer(t)
	client := dial(t, &redis.UniversalOptions{Addrs: []string{server.address}})
	store := newStore(t, client, redisstore.Options{})
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
	for _, id := range []string{"a", "b"} {
		require.NoError(t, store.Save(t.Context(), id, fallback.Revision{}, rec))
		require.NoError(t, store.Touch(t.Context(), id, rec.Expires))
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := redisstore.New(nil, redisstore.Options{})
	require.ErrorContains(t, err, "no client")
	late := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, RouteByLatency: true})
	defer late.Close()
	_, err = redisstore.New(late, redisstore.Options{})
	require.ErrorContains(t, err, "replicas")
	_, err = redisstore.New(redis.NewClient(&redis.Options{}), redisstore.Options{Prefix: strings.Repeat("x", 257)})
	require.ErrorContains(t, err, "Prefix")
}

func TestClientsAreSet(t *testing.T) {
	o := redisstore.ClusterOptions(&redis.ClusterOptions{})
	require.Equal(t, 500*time.Millisecond, o.ClusterStateReloadInterval)
	require.Equal(t, 1, o.DialerRetries)
	require.Equal(t, 10*time.Millisecond, o.DialerRetryTimeout)
	require.True(t, o.ContextTimeoutEnabled)
	own := redisstore.ClusterOptions(&redis.ClusterOptions{ClusterStateReloadInterval: time.Second, DialerRetries: 3, DialerRetryTimeout: 1})
	require.Equal(t, time.Second, own.ClusterStateReloadInterval)
	require.Equal(t, 3, own.DialerRetries)
	require.Equal(t, time.Duration(1), own.DialerRetryTimeout)

	single := &redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}}
	for _, given := range []*redis.UniversalOptions{single, {Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}},
		{Addrs: []string{"127.0.0.1:1"}, IsClusterMode: true}, {Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}, MasterName: "m"}} {
		client := redisstore.NewClient(given)
		defer client.Close()
		switch client := client.(type) {
		case *redis.ClusterClient:
			require.Equal(t, 500*time.Millisecond, client.Options().ClusterStateReloadInterval)
			require.True(t, client.Options().ContextTimeoutEnabled)
			require.Equal(t, 1, client.Options().DialerRetries)
		case *redis.Client:
			require.True(t, client.Options().ContextTimeoutEnabled)
			require.Equal(t, 1, client.Options().DialerRetries)
		}
	}
	require.False(t, single.ContextTimeoutEnabled, "the caller's options are unchanged")
}

// A server that accepts connections and sends nothing must not block a
// request.
func TestSilentServerEndsWithTheContext(t *testing.T) {
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{silent(t)}})
	defer client.Close()
	store := newStore(t, client, redisstore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := store.Load(ctx, "id")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 2500*time.Millisecond, "the client's own limit is four times 3 s")
}
