package express_test

import (
	"context"
	"database/sql"

	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// This example is only compiled, because it needs a Redis. The store has its
// own tests.
func Example_redis() {
	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{"10.0.0.1:6379"}})
	store, err := redisstore.New(client, redisstore.Options{Prefix: "sess:"})
	must(err)
	show(store != nil)
}

func Example_sql() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:")
	must(err)
	db.SetMaxOpenConns(1)
	store, err := sqlstore.New(db, sqlstore.Options{Dialect: sqlstore.SQLite, Table: "sessions"})
	must(err)
	must(store.Migrate(ctx)) // createTableIfMissing
	n, err := store.Len(ctx)
	must(err)
	show(n)
	// Output: 0
}

// mine replaces a Store with get, set, destroy and touch.
type mine struct{ fallback.Store }

var _ fallback.Store = mine{} // Load, Save, Touch, Delete; Save compares and swaps

func Example_ownStore() {
	memory, err := fallback.NewMemory(fallback.MemoryConfig{})
	must(err)
	var store fallback.Store = mine{memory}
	_, err = store.Load(context.Background(), "id")
	show(err)
	// Output: fallback: no such record
}
