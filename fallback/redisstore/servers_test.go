package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback/redisstore"
)

// server is a Redis server of the test.
type server struct {
	port    int
	address string
	command *exec.Cmd
}

// startServer starts a Redis server on a free port of 127.0.0.1. It stores
// nothing on disk and ends with the test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	return start(t, "redis-server", args...)
}

func start(t testing.TB, program string, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, "%s is not installed", program)
	}
	port := freePort(t)
	args = append(args, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", t.TempDir())
	if program == "redis-server" {
		args = append(args, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes")
	}
	s := &server{port: port, address: "127.0.0.1:" + strconv.Itoa(port), command: exec.Command(path, args...)}
	require.NoError(t, s.command.Start())
	t.Cleanup(s.kill)
	client := redis.NewClient(&redis.Options{Addr: s.address})
	defer client.Close()
	eventually(t, program+" answers", func() bool { return client.Ping(context.Background()).Err() == nil })
	return s
}

// kill kills the server, like a power failure. It may be called again.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

// freePort finds a free port for which the port 10,000 above is also free.
// Nodes of a Cluster use that one among themselves.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(8000)
		if free(port) && free(port+10000) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func free(port int) bool {
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// silent starts a server that accepts connections and never sends anything.
func silent(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			if _, err := listener.Accept(); err != nil {
				return
			}
		}
	}()
	return listener.Addr().String()
}

// eventually waits until done returns true, at most a minute.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("still not after a minute: %s", what)
		}
	}
}

// startCluster starts three masters with one replica each.
func startCluster(t *testing.T) (nodes map[string]*server, addresses []string) {
	t.Helper()
	nodes = map[string]*server{}
	for range 6 {
		node := startServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		nodes[node.address] = node
		addresses = append(addresses, node.address)
	}
	create := exec.Command("redis-cli", append([]string{"--cluster", "create"}, append(addresses, "--cluster-replicas", "1", "--cluster-yes")...)...)
	out, err := create.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, address := range addresses {
		client := redis.NewClient(&redis.Options{Addr: address})
		eventually(t, "the node is in the cluster", func() bool {
			info, _ := client.ClusterInfo(t.Context()).Result()
			return strings.Contains(info, "cluster_state:ok") && linked(t, client)
		})
		_ = client.Close()
	}
	return nodes, addresses
}

// linked reports whether a node is a master with its replica, or a replica
// with its master.
func linked(t *testing.T, client *redis.Client) bool {
	info, _ := client.Info(t.Context(), "replication").Result()
	return strings.Contains(info, "state=online") || strings.Contains(info, "master_link_status:up")
}

// startSentinel starts a master, two replicas and three sentinels.
func startSentinel(t *testing.T) (master *server, sentinels []string) {
	t.Helper()
	master = startServer(t, "--repl-diskless-sync-delay", "0")
	for range 2 {
		startServer(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	}
	for range 3 {
		file := t.TempDir() + "/sentinel.conf"
		conf := fmt.Sprintf("sentinel monitor mine 127.0.0.1 %d 2\nsentinel down-after-milliseconds mine 1000\n"+
			"sentinel failover-timeout mine 3000\n", master.port)
		require.NoError(t, writeFile(file, conf))
		sentinels = append(sentinels, start(t, "redis-server", file, "--sentinel").address)
	}
	for _, address := range sentinels {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: address})
		eventually(t, "the sentinel knows the others", func() bool {
			m, _ := sentinel.Master(t.Context(), "mine").Result()
			return m["num-slaves"] == "2" && m["num-other-sentinels"] == "2"
		})
		_ = sentinel.Close()
	}
	return master, sentinels
}

func clusterClient(t *testing.T, addresses []string) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(redisstore.ClusterOptions(&redis.ClusterOptions{Addrs: addresses}))
	t.Cleanup(func() { _ = client.Close() })
	return client
}
