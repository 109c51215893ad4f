package redisstore_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/redisstore"
)

// startPair starts a master and a replica that is up to date.
func startPair(t *testing.T) (master, replica *server) {
	t.Helper()
	master = startServer(t, "--repl-diskless-sync-delay", "0")
	replica = startReplica(t, master)
	return master, replica
}

func startReplica(t *testing.T, master *server) *server {
	t.Helper()
	replica := startServer(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	client := redis.NewClient(&redis.Options{Addr: replica.address})
	defer client.Close()
	eventually(t, "the replica follows", func() bool { return linked(t, client) })
	return replica
}

func TestConformanceWithReplicas(t *testing.T) {
	master, _ := startPair(t)
	o := &redis.UniversalOptions{Addrs: []string{master.address}}
	fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
		client, clock := dial(t, o), fallbacktest.NewClock()
		opt := redisstore.Options{Prefix: newPrefix(t, o), Clock: clock.Now, Replicas: 1, ReplicaTimeout: time.Minute}
		return fallbacktest.Setup{
			Store: newStore(t, client, opt), Other: newStore(t, dial(t, o), opt), Now: clock.Now, Advance: clock.Advance,
			Break: func() { _ = client.Close() },
		}
	})
}

// A write is acknowledged only when a replica has it.
func TestWritesWaitForAReplica(t *testing.T) {
	master, replica := startPair(t)
	client := dial(t, &redis.UniversalOptions{Addrs: []string{master.address}})
	store := newStore(t, client, redisstore.Options{Replicas: 1, ReplicaTimeout: 100 * time.Millisecond})
	rec := next(fallback.Record{})
	eventually(t, "a write is acknowledged", func() bool {
		return store.Save(t.Context(), "id", fallback.Revision{}, rec) == nil
	})
	replica.kill()
	second := next(rec)
	eventually(t, "writes are not acknowledged any more", func() bool {
		return store.Touch(t.Context(), "id", rec.Expires) != nil
	})
	err := store.Save(t.Context(), "id", rec.Revision, second)
	require.ErrorContains(t, err, "0 of 1 replicas have the write")
	require.False(t, errors.Is(err, fallback.ErrConflict) || errors.Is(err, fallback.ErrNotFound))
	require.ErrorIs(t, store.Save(t.Context(), "id", rec.Revision, next(rec)), fallback.ErrConflict, "the write is stored nevertheless")

	startReplica(t, master)
	eventually(t, "the same write is acknowledged", func() bool {
		return store.Save(t.Context(), "id", rec.Revision, second) == nil
	})
	got, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, second.Revision, got.Revision)
}

// A write follows a slot of a Cluster that has moved or is moving.
func TestWritesFollowASlot(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	nodes, addresses := startCluster(t)
	client := clusterClient(t, addresses)
	store := newStore(t, client, redisstore.Options{Replicas: 1, ReplicaTimeout: 10 * time.Second})
	rec := next(fallback.Record{})
	key := redisstore.DefaultPrefix + "id"
	from, err := client.MasterForKey(t.Context(), key)
	require.NoError(t, err)
	slot := client.ClusterKeySlot(t.Context(), key).Val()
	other := make(chan string, len(nodes))
	require.NoError(t, client.ForEachMaster(t.Context(), func(_ context.Context, master *redis.Client) error {
		if master.Options().Addr != from.Options().Addr {
			other <- master.Options().Addr
		}
		return nil
	}))
	source, target := redis.NewClient(&redis.Options{Addr: from.Options().Addr}), redis.NewClient(&redis.Options{Addr: <-other})
	defer source.Close()
	defer target.Close()
	require.Contains(t, nodes, target.Options().Addr)
	sourceID, targetID := source.Do(t.Context(), "CLUSTER", "MYID").Val(), target.Do(t.Context(), "CLUSTER", "MYID").Val()

	require.NoError(t, target.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID).Err())
	require.NoError(t, source.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID).Err())
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec), "the slot is moving")
	n, err := target.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.Equal(t, int64(1), n)

	for _, node := range []*redis.Client{target, source} {
		require.NoError(t, node.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", targetID).Err())
	}
	second := next(rec)
	require.NoError(t, store.Save(t.Context(), "id", rec.Revision, second), "the slot has moved")
	got, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, second.Revision, got.Revision)
}

func TestReplicasAreChecked(t *testing.T) {
	one := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer one.Close()
	defer ring.Close()
	_, err := redisstore.New(one, redisstore.Options{Replicas: -1})
	require.ErrorContains(t, err, "negative")
	_, err = redisstore.New(ring, redisstore.Options{Replicas: 1})
	require.ErrorContains(t, err, "NewClient")
	_, err = redisstore.New(ring, redisstore.Options{})
	require.NoError(t, err)
}
