package redisstore

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// scanCount is the number of keys per step of a scan.
const scanCount = 1000

// Len implements [fallback.Counter]. It reads every key of the server in
// steps. The result is an estimate if keys are added or removed meanwhile.
// Keys of other programs are not counted.
func (s *Store) Len(ctx context.Context) (int, error) {
	var n atomic.Int64
	now := s.now()
	err := s.scan(ctx, func(keys []string) error {
		pipe := s.client.Pipeline()
		heads := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			heads[i] = pipe.GetRange(ctx, key, 0, int64(dataAt-1))
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		for _, head := range heads {
			b, err := head.Bytes()
			if redis.HasErrorPrefix(err, "WRONGTYPE") {
				continue // a key of another program
			}
			if err != nil {
				return err
			}
			if rec, err := unpack(b); err == nil && rec.Expires.UnixMilli() > now {
				n.Add(1)
			}
		}
		return nil
	})
	return int(n.Load()), fail(ctx, "count the records", err)
}

// Clear implements [fallback.Clearer]. It removes all keys with the prefix in
// steps, including keys that other programs have written.
func (s *Store) Clear(ctx context.Context) error {
	err := s.scan(ctx, func(keys []string) error {
		pipe := s.client.Pipeline()
		for _, key := range keys { // one by one, because in a Cluster they are on different nodes
			pipe.Unlink(ctx, key)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	return fail(ctx, "clear the records", err)
}

// scan calls some with the keys that have the prefix, for all masters in
// parallel.
func (s *Store) scan(ctx context.Context, some func(keys []string) error) error {
	return s.eachServer(ctx, func(ctx context.Context, node redis.Cmdable) error { return s.scanNode(ctx, node, some) })
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

// glob escapes the special characters of a pattern.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace
