package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/carryon-go/carryon/fallback"
)

// Check implements [fallback.Checker]. It sends INFO and, if allowed, CONFIG
// GET to the server or to every master of a Cluster. It changes nothing.
func (s *Store) Check(ctx context.Context) error {
	var mu sync.Mutex
	var engine string
	var all []fallback.Finding
	err := s.eachServer(ctx, func(ctx context.Context, node redis.Cmdable) error {
		info, err := infoOf(ctx, node)
		if err != nil {
			return err
		}
		found := s.findings(info, configOf(ctx, node))
		mu.Lock()
		defer mu.Unlock()
		if engine == "" || len(all) == 0 && len(found) > 0 {
			engine = info.engine()
		}
		all = merge(all, found)
		return nil
	})
	if err != nil {
		return fail(ctx, "read the settings", err)
	}
	return fallback.NewCheckError(engine, all)
}

// eachServer calls f for the server, or for all masters in parallel.
func (s *Store) eachServer(ctx context.Context, f func(context.Context, redis.Cmdable) error) error {
	each := func(ctx context.Context, node *redis.Client) error { return f(ctx, node) }
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, each)
	case *redis.Ring:
		return client.ForEachShard(ctx, each)
	}
	return f(ctx, s.client)
}

// info holds the fields of INFO.
type info map[string]string

func infoOf(ctx context.Context, node redis.Cmdable) (info, error) {
	text, err := node.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	all := info{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			all[name] = value
		}
	}
	return all, nil
}

func (i info) engine() string {
	if version := i["valkey_version"]; version != "" {
		return "Valkey " + version
	}
	return "Redis " + i["redis_version"]
}

// configOf reads settings that INFO does not contain. Settings that the server
// does not reveal, as with many managed services, are missing.
func configOf(ctx context.Context, node redis.Cmdable) map[string]string {
	all := map[string]string{}
	for _, name := range []string{"appendfsync", "save"} {
		values, err := node.ConfigGet(ctx, name).Result()
		if value, found := values[name]; err == nil && found {
			all[name] = value
		}
	}
	return all
}

func lostWithoutAOF(c map[string]string) string {
	switch save, known := c["save"]; {
	case known && save == "":
		return "a restart loses every record, including logouts"
	case known:
		return "a restart loses all writes since the last snapshot, including logouts"
	}
	return "a restart loses all writes since the last snapshot, or every record if there are no snapshots"
}

// merge adds new findings. Most masters of a Cluster have the same settings.
func merge(all, more []fallback.Finding) []fallback.Finding {
	for _, f := range more {
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

func olderThan(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a < major || a == major && b < minor
}

// findings returns the problems of a server.
func (s *Store) findings(i info, c map[string]string) (all []fallback.Finding) {
	when := func(wrong bool, setting, value, effect, fix string) {
		if wrong {
			all = append(all, fallback.Finding{Setting: setting, Value: value, Effect: effect, Fix: fix})
		}
	}
	when(olderThan(i["redis_version"], 6, 2), "redis_version", i["redis_version"],
		"it has no SET … PXAT, and every write fails", "use Redis 6.2 or later, or Valkey")
	policy := i["maxmemory_policy"]
	when(policy != "" && policy != "noeviction", "maxmemory_policy", policy,
		"when memory is short, logouts and revocations are dropped and stolen copies work again", "set it to noeviction")
	when(i["role"] != "" && i["role"] != "master", "role", i["role"], "it refuses writes, and its data lags behind", "connect to the master")
	when(i["aof_enabled"] == "0", "aof_enabled", "0", lostWithoutAOF(c), "set appendonly to yes and appendfsync to always")
	fsync, known := c["appendfsync"]
	when(i["aof_enabled"] == "1" && known && fsync != "always" && s.opt.Replicas == 0, "appendfsync", fsync,
		"a crash of the machine loses the writes of the last second, including logouts", "set it to always, or set Options.Replicas")
	replicas, _ := strconv.Atoi(i["connected_slaves"])
	when(replicas < s.opt.Replicas, "connected_slaves", i["connected_slaves"],
		"every write waits and fails, because Options.Replicas is "+strconv.Itoa(s.opt.Replicas), "add replicas, or set it lower")
	return all
}
