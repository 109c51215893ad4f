package redisstore

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys a step of a scan looks at.
const scanCount = 1000

// Len is as in [fallback.Counter]. It looks at every key of the server, some
// at a time; where keys come and go meanwhile it is an estimate. Keys of other
// programs are not counted.
func (s *Store) Len(ctx context.Context) (int, error) {
	var n atomic.Int64
	now := s.now()
	err := s.scan(ctx, func(keys []string) error {
		pipe := s.client.Pipeline()
		heads := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			heads[i] = pipe.GetRange(ctx, key, 0, int64(dataAt-1))
		}
		_, _ = pipe.Exec(ctx) // the commands have its errors
		for _, head := range heads {
			b, err := head.Bytes()
			if redis.HasErrorPrefix(err, "WRONGTYPE") {
				continue // another program's
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

// glob escapes what has a meaning in a pattern.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace
