package stores

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// A master of a Redis Cluster fails under load. Redis guarantees only the
// writes that a replica had. A session whose latest write is lost is as it was
// before, with a reason, and is never a mix. A store that waits for a replica
// loses no write.
func TestFaultsRedisCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("this test starts six servers and kills one")
	}
	before := settled()
	c := startCluster(t)
	prompt, closePrompt := c.site(t, middleware.Auto, redisstore.Options{Prefix: "prompt:"})
	safe, closeSafe := c.site(t, middleware.AlwaysStored, redisstore.Options{Prefix: "safe:", Replicas: 1, ReplicaTimeout: 150 * time.Millisecond})
	for i := range 5 {
		prompt.visit(fmt.Sprint("prompt ", i), 60_000, 9_000)
		prompt.visitors[i].lossy = true
		safe.visit(fmt.Sprint("safe ", i), swing...)
	}
	prompt.visit("small", 80)
	small := prompt.visitors[5]

	ends := []func() error{prompt.load(), safe.load()}
	prompt.writes(t)
	safe.writes(t)
	var floors []int64
	for _, v := range prompt.visitors {
		floors = append(floors, v.acknowledged.Load())
	}
	c.waitForReplicas(t)
	c.failover(t, func() {
		failures := safe.failed.Load()
		eventually(t, "calls of the store to fail", func() bool { return safe.failed.Load() > failures+5 })
	})
	prompt.writes(t)
	safe.writes(t)
	for _, end := range ends {
		require.NoError(t, end())
	}
	lost := int64(0)
	for i, v := range prompt.visitors {
		require.NoError(t, v.read())
		require.GreaterOrEqual(t, v.acknowledged.Load(), floors[i], "a replica had this write")
		lost += v.lost.Load()
	}
	for _, v := range safe.visitors {
		require.NoError(t, v.read(), "a replica had all acknowledged writes")
	}
	require.Zero(t, small.refusals.Load(), "a session in cookies needs no store")
	require.Zero(t, small.lost.Load())
	require.Empty(t, safe.reasons())
	for why := range prompt.reasons() {
		require.Equal(t, reason.StoreRolledBack, why)
	}
	t.Logf("%d acknowledged writes were lost by the failover, without waiting for a replica", lost)
	closePrompt()
	closeSafe()
	c.stop(t)
	noMoreThan(t, before)
}

// A cluster is three masters with a replica each.
type cluster struct {
	client *redis.ClusterClient
	nodes  []*server
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	var addresses []string
	for range 6 {
		s := startRedis(t, false, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", freePort(t),
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		c.nodes, addresses = append(c.nodes, s), append(addresses, s.address)
	}
	create := append([]string{"--cluster", "create"}, addresses...)
	must(t, exec.Command(program(t, "redis-cli"), append(create, "--cluster-replicas", "1", "--cluster-yes")...))
	c.client = redisstore.NewClient(&redis.UniversalOptions{Addrs: addresses}).(*redis.ClusterClient)
	t.Cleanup(func() { _ = c.client.Close() })
	eventually(t, "the cluster to form", func() bool {
		for _, s := range c.nodes {
			if info := ask(s, "CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") {
				return false
			}
			if info := ask(s, "INFO", "replication"); !strings.Contains(info, "state=online") && !strings.Contains(info, "master_link_status:up") {
				return false
			}
		}
		return true
	})
	return c
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port := freeAddress(t)
	return port
}

// ask sends a command to a node. It returns "" if the node does not respond.
func ask(s *server, command ...any) string {
	client := redis.NewClient(&redis.Options{Addr: s.address, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	text, _ := client.Do(context.Background(), command...).Text()
	return text
}

// site returns a site that uses the cluster with a client of its own.
func (c *cluster) site(t *testing.T, mode middleware.Mode, o redisstore.Options) (s *site, done func()) {
	t.Helper()
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: c.client.Options().Addrs})
	store, err := redisstore.New(client, o)
	require.NoError(t, err)
	s = newSite(t, mode, store)
	return s, func() {
		s.Close()
		s.Client().CloseIdleConnections()
		_ = client.Close()
	}
}

func (c *cluster) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.client.Close())
	for _, s := range c.nodes {
		s.crash()
	}
}

// masters returns the current masters.
func (c *cluster) masters() (all []*server) {
	for _, s := range c.nodes {
		if strings.Contains(ask(s, "INFO", "replication"), "role:master") {
			all = append(all, s)
		}
	}
	return all
}

// waitForReplicas waits until each master's current data is at a replica.
func (c *cluster) waitForReplicas(t *testing.T) {
	t.Helper()
	for _, s := range c.masters() {
		wanted := offset(ask(s, "INFO", "replication"), "master_repl_offset:")
		eventually(t, "a replica to have the master's data", func() bool {
			return wanted >= 0 && offset(ask(s, "INFO", "replication"), "state=online,offset=") >= wanted
		})
	}
}

// offset returns the number after a name, or -1 if there is none.
func offset(info, name string) int64 {
	_, rest, found := strings.Cut(info, name)
	digits := rest[:max(0, strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil {
		return -1
	}
	return n
}

// failover kills the master with the most data. After its replica has taken
// over, it restarts the killed node as a replica; before that, the node would
// be an empty master.
func (c *cluster) failover(t *testing.T, meanwhile func()) {
	t.Helper()
	var most *server
	size := int64(-1)
	masters := c.masters()
	require.Len(t, masters, 3)
	for _, s := range masters {
		client := redis.NewClient(&redis.Options{Addr: s.address})
		n, err := client.DBSize(t.Context()).Result()
		require.NoError(t, err)
		_ = client.Close()
		if n > size {
			most, size = s, n
		}
	}
	most.crash()
	meanwhile()
	eventually(t, "a replica to take over", func() bool { return len(c.masters()) == 3 })
	most.start()
}
