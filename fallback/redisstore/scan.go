package redisstore

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys a step of a scan looks at.
const scanCount = 1000

// Len is as in [fallback.Counter]. It looks at every key of the server, some
// at a time; where keys come and go meanwhile it is an estimate.
func (s *Store) Len(ctx context.Context) (int, error) {
	var n atomic.Int64
	now := s.now()
	err := s.scan(ctx, func(keys []string) error {
		pipe := s.client.Pipeline()
		for _, key := range keys {
			pipe.GetRange(ctx, key, int64(expiresAt), int64(dataAt-1))
		}
		heads, err := pipe.Exec(ctx)
		for _, head := range heads {
			ms, wrong := strconv.ParseInt(head.(*redis.StringCmd).Val(), 10, 64)
			if wrong == nil && ms > now {
				n.Add(1)
			}
		}
		return err
	})
	return int(n.Load()), fail(ctx, "count the records", err)
}

// Clear is as in [fallback.Clearer]: it removes all keys that begin with the
// prefix, some at a time, whoever has written them.
func (s *Store) Clear(ctx context.Context) error {
	err := s.scan(ctx, func(keys []string) error {
		pipe := s.client.Pipeline()
		for _, key := range keys { // one by one: in a Cluster they are apart
			pipe.Unlink(ctx, key)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	return fail(ctx, "clear the records", err)
}

// scan gives all keys with the prefix, of every master at once.
func (s *Store) scan(ctx context.Context, some func(keys []string) error) error {
	each := func(ctx context.Context, node *redis.Client) error { return s.scanNode(ctx, node, some) }
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, each)
	case *redis.Ring:
		return client.ForEachShard(ctx, each)
	}
	return s.scanNode(ctx, s.client, some)
}

func (s *Store) scanNode(ctx context.Context, node redis.Cmdable, some func(keys []string) error) error {
	var cursor uint64
	for {
		keys, next, err := node.Scan(ctx, cursor, glob(s.opt.Prefix)+"*", scanCount).Result()
		if err == nil && len(keys) > 0 {
			err = some(keys)
		}
		if err != nil || next == 0 {
			return err
		}
		cursor = next
	}
}

// glob escapes what has a meaning in a pattern.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace
