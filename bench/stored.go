package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/middleware"
)

// stored stores every session in the store, whatever its size.
func stored(store fallback.Store) func(*middleware.Config) {
	return func(c *middleware.Config) { c.Fallback.Store, c.Fallback.Mode = store, middleware.AlwaysStored }
}

func buildInMemory(d Data) (*Site, error) {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	if err != nil {
		return nil, err
	}
	return buildCarryon(d, stored(store))
}

// buildInRedis uses the server at CARRYON_TEST_REDIS, or one on this machine.
// CPU time is that of this process, the client; wall time includes the server.
func buildInRedis(d Data) (*Site, error) {
	address := cmp.Or(os.Getenv("CARRYON_TEST_REDIS"), "127.0.0.1:6379")
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{address}})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("%w: Redis at %s", ErrAbsent, address)
	}
	store, err := redisstore.New(client, redisstore.Options{Prefix: "carryon-bench:" + rand.Text()[:12] + ":"})
	if err != nil {
		return nil, err
	}
	site, err := buildCarryon(d, stored(store))
	if err == nil {
		site.Close = func() {
			_ = store.Clear(context.Background()) // the records expire anyway
			_ = client.Close()
		}
	}
	return site, err
}
