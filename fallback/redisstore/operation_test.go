package redisstore_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
)

// A foreign key under the prefix, of any type, is not counted and causes no
// error.
func TestLenPassesOverForeignKeys(t *testing.T) {
	client := connect(t)
	prefix := newPrefix(t, options())
	store := newStore(t, client, redisstore.Options{Prefix: prefix})
	rec := next(fallback.Record{})
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))
	ctx := t.Context()
	far := strings.Repeat("9", 16)
	require.NoError(t, client.HSet(ctx, prefix+"hash", "a", "b").Err())
	require.NoError(t, client.RPush(ctx, prefix+"list", "a").Err())
	require.NoError(t, client.SAdd(ctx, prefix+"set", "a").Err())
	require.NoError(t, client.ZAdd(ctx, prefix+"sorted set", redis.Z{Score: 1, Member: "a"}).Err())
	require.NoError(t, client.XAdd(ctx, &redis.XAddArgs{Stream: prefix + "stream", Values: []string{"a", "b"}}).Err())
	require.NoError(t, client.PFAdd(ctx, prefix+"hyperloglog", "a").Err())
	require.NoError(t, client.Set(ctx, prefix+"short", "x", 0).Err())
	require.NoError(t, client.Set(ctx, prefix+"empty", "", 0).Err())
	require.NoError(t, client.Set(ctx, prefix+"digits", strings.Repeat("9", 42), 0).Err())
	require.NoError(t, client.Set(ctx, prefix+"nearly", "c2"+strings.Repeat("x", 24)+far, 0).Err())
	n, err := store.Len(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// smallestACL lists the commands that the documentation requires.
var smallestACL = []string{"get", "getrange", "set", "setrange", "pexpireat", "unlink", "eval", "evalsha"}

// user creates a user with the given commands and returns a store for it.
func user(t *testing.T, admin redis.UniversalClient, server *server, commands ...string) *redisstore.Store {
	t.Helper()
	rules := []any{"ACL", "SETUSER", "app", "reset", "on", "nopass", "~" + redisstore.DefaultPrefix + "*"}
	for _, c := range commands {
		rules = append(rules, "+"+c)
	}
	require.NoError(t, admin.Do(t.Context(), rules...).Err())
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{server.address}, Username: "app", Password: "any", MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return newStore(t, client, redisstore.Options{})
}

// The minimal ACL of the documentation suffices for all calls of the
// middleware, and each of its commands is required.
func TestSmallestACL(t *testing.T) {
	server := startServer(t)
	admin := dial(t, &redis.UniversalOptions{Addrs: []string{server.address}})
	calls := func(store *redisstore.Store) (failed error) {
		ctx := t.Context()
		one := next(fallback.Record{})
		two := next(one)
		_, loaded := store.Load(ctx, "id")
		if loaded == fallback.ErrNotFound {
			loaded = nil
		}
		for _, err := range []error{loaded, store.Save(ctx, "id", fallback.Revision{}, one), store.Save(ctx, "id", fallback.Revision{}, one),
			store.Save(ctx, "id", one.Revision, two), store.Touch(ctx, "id", two.Expires.Add(time.Minute)), store.Delete(ctx, "id")} {
			if err != nil {
				failed = err
			}
		}
		return failed
	}
	for range 2 { // once with the scripts in the server's cache, once without
		require.NoError(t, admin.ScriptFlush(t.Context()).Err())
		require.NoError(t, calls(user(t, admin, server, smallestACL...)))
	}
	for i, c := range smallestACL {
		require.NoError(t, admin.ScriptFlush(t.Context()).Err())
		require.Error(t, calls(user(t, admin, server, slices.Delete(slices.Clone(smallestACL), i, i+1)...)), c)
		require.NoError(t, admin.FlushDB(t.Context()).Err())
	}
	store := user(t, admin, server, append(slices.Clone(smallestACL), "scan")...)
	_, err := store.Len(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.Clear(t.Context()))
}

// A write that an ACL partly forbids is an error. It leaves no key without an
// expiry and changes no key.
func TestWritesThatAnACLForbidsLeaveNothing(t *testing.T) {
	server := startServer(t)
	admin := dial(t, &redis.UniversalOptions{Addrs: []string{server.address}})
	all := newStore(t, admin, redisstore.Options{})
	for i, c := range smallestACL {
		t.Run("without "+c, func(t *testing.T) {
			require.NoError(t, admin.FlushDB(t.Context()).Err())
			one := next(fallback.Record{})
			require.NoError(t, all.Save(t.Context(), "old", fallback.Revision{}, one))
			before := keyOf(t, admin, "old")
			store := user(t, admin, server, slices.Delete(slices.Clone(smallestACL), i, i+1)...)
			if err := store.Save(t.Context(), "new", fallback.Revision{}, one); err != nil {
				require.Zero(t, admin.Exists(t.Context(), redisstore.DefaultPrefix+"new").Val())
			}
			if err := store.Save(t.Context(), "old", one.Revision, next(one)); err != nil {
				require.Equal(t, before, keyOf(t, admin, "old"))
				if err := store.Touch(t.Context(), "old", one.Expires.Add(time.Minute)); err != nil {
					require.Equal(t, before.value, keyOf(t, admin, "old").value)
				}
			}
			for _, id := range []string{"old", "new"} {
				ttl, err := admin.PTTL(t.Context(), redisstore.DefaultPrefix+id).Result()
				require.NoError(t, err)
				require.NotEqual(t, time.Duration(-1), ttl, "a key without an expiry is never removed")
			}
		})
	}
}

type key struct {
	value   string
	expires time.Duration
}

func keyOf(t *testing.T, client redis.UniversalClient, id string) key {
	t.Helper()
	value, err := client.Get(t.Context(), redisstore.DefaultPrefix+id).Result()
	require.NoError(t, err)
	expires, err := client.PExpireTime(t.Context(), redisstore.DefaultPrefix+id).Result()
	require.NoError(t, err)
	return key{value, expires}
}

// Each policy behaves as Check and the documentation say: with full memory,
// the server drops logout markers or refuses writes.
func TestPoliciesThatEvict(t *testing.T) {
	for policy, forgets := range map[string]bool{
		"noeviction": false, "allkeys-lru": true, "allkeys-lfu": true, "allkeys-random": true,
		"volatile-lru": true, "volatile-lfu": true, "volatile-random": true, "volatile-ttl": true,
	} {
		t.Run(policy, func(t *testing.T) {
			server := startServer(t, "--maxmemory", "4mb", "--maxmemory-policy", policy, "--maxmemory-samples", "10")
			client := dial(t, &redis.UniversalOptions{Addrs: []string{server.address}})
			store := newStore(t, client, redisstore.Options{})
			const ends = 50
			end := next(fallback.Record{})
			for i := range ends {
				require.NoError(t, store.Save(t.Context(), "end "+strconv.Itoa(i), fallback.Revision{}, end))
			}
			session := next(fallback.Record{})
			session.Data, session.Expires = make([]byte, 20_000), end.Expires.Add(time.Hour)
			refused := 0
			for i := range 600 { // 12 MB
				if err := store.Save(t.Context(), "session "+strconv.Itoa(i), fallback.Revision{}, session); err != nil {
					require.ErrorContains(t, err, "OOM")
					refused++
				}
			}
			left := 0
			for i := range ends {
				if _, err := store.Load(t.Context(), "end "+strconv.Itoa(i)); err == nil {
					left++
				}
			}
			err := store.Check(t.Context())
			if forgets {
				require.Less(t, left, ends)
				require.ErrorContains(t, err, "maxmemory_policy is "+policy)
				return
			}
			require.Equal(t, ends, left)
			require.Positive(t, refused, "a record without space is an error")
			require.NotContains(t, err.Error(), "maxmemory_policy")
		})
	}
}

func TestCheckFindsSettings(t *testing.T) {
	durable := startServer(t)
	client := dial(t, &redis.UniversalOptions{Addrs: []string{durable.address}})
	store := newStore(t, client, redisstore.Options{})
	var check *fallback.CheckError
	require.ErrorAs(t, store.Check(t.Context()), &check)
	require.ErrorContains(t, check, "aof_enabled is 0")
	require.ErrorContains(t, check, "a restart loses every record")
	require.Contains(t, check.Engine, "Redis ")

	require.NoError(t, client.ConfigSet(t.Context(), "save", "3600 1").Err())
	require.ErrorContains(t, store.Check(t.Context()), "since the last snapshot")
	require.NoError(t, client.ConfigSet(t.Context(), "appendonly", "yes").Err())
	require.ErrorContains(t, store.Check(t.Context()), "appendfsync is everysec")
	require.NoError(t, client.ConfigSet(t.Context(), "appendfsync", "always").Err())
	require.NoError(t, store.Check(t.Context()))

	waits := newStore(t, client, redisstore.Options{Replicas: 1})
	require.ErrorContains(t, waits.Check(t.Context()), "connected_slaves is 0")

	replica := startReplica(t, durable)
	require.NoError(t, waits.Check(t.Context()))
	late := newStore(t, dial(t, &redis.UniversalOptions{Addrs: []string{replica.address}}), redisstore.Options{})
	require.ErrorContains(t, late.Check(t.Context()), "role is slave")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.Check(ctx), context.Canceled)
}

// Managed Redis services often lack CONFIG, and an ACL may forbid INFO.
func TestCheckNeedsOnlyInfo(t *testing.T) {
	server := startServer(t)
	admin := dial(t, &redis.UniversalOptions{Addrs: []string{server.address}})
	require.NoError(t, admin.ConfigSet(t.Context(), "appendonly", "yes").Err())
	require.NoError(t, user(t, admin, server, "info").Check(t.Context()), "an unknown setting is no finding")
	require.ErrorContains(t, user(t, admin, server, "get").Check(t.Context()), "NOPERM")
}

func TestCheckAsksEveryMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	nodes, addresses := startCluster(t)
	client := clusterClient(t, addresses)
	for address := range nodes {
		one := redis.NewClient(&redis.Options{Addr: address})
		require.NoError(t, one.ConfigSet(t.Context(), "appendonly", "yes").Err())
		require.NoError(t, one.ConfigSet(t.Context(), "appendfsync", "always").Err())
		_ = one.Close()
	}
	store := newStore(t, client, redisstore.Options{})
	require.NoError(t, store.Check(t.Context()))
	master, err := client.MasterForKey(t.Context(), "any")
	require.NoError(t, err)
	require.NoError(t, master.ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru").Err())
	require.ErrorContains(t, store.Check(t.Context()), "maxmemory_policy is volatile-lru")
}

// The additional commands for a Cluster and for Options.Replicas.
func TestSmallestACLOfACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	nodes, addresses := startCluster(t)
	for address := range nodes {
		one := redis.NewClient(&redis.Options{Addr: address})
		rules := []any{"ACL", "SETUSER", "app", "reset", "on", "nopass", "~" + redisstore.DefaultPrefix + "*"}
		for _, c := range append(slices.Clone(smallestACL), "wait", "cluster|slots") {
			rules = append(rules, "+"+c)
		}
		require.NoError(t, one.Do(t.Context(), rules...).Err())
		_ = one.Close()
	}
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: addresses, Username: "app", Password: "any"})
	t.Cleanup(func() { _ = client.Close() })
	for _, o := range []redisstore.Options{{}, {Replicas: 1, ReplicaTimeout: time.Minute}} {
		store := newStore(t, client, o)
		for i := range 20 { // on all masters
			id := "id" + strconv.Itoa(i)
			one := next(fallback.Record{})
			require.NoError(t, store.Save(t.Context(), id, fallback.Revision{}, one))
			require.NoError(t, store.Save(t.Context(), id, one.Revision, next(one)))
			require.NoError(t, store.Touch(t.Context(), id, one.Expires))
			_, err := store.Load(t.Context(), id)
			require.NoError(t, err)
			require.NoError(t, store.Delete(t.Context(), id))
		}
	}
}
