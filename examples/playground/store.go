package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// storeForms lists the forms of -store.
const storeForms = "memory:[?bytes=N], sqlite:FILE, postgres://…, mysql://…, redis://…, redis://HOST:PORT,HOST:PORT for a cluster, " +
	"mongodb://…, dynamodb://TABLE?region=…[&endpoint=…]"

// patience is how long the program waits for its store at startup.
const patience = 30 * time.Second

// openStore opens the store of -store, or returns nil if the flag is empty.
// The error contains nothing of the address, which may include a password.
func openStore(ctx context.Context, address string) (store fallback.Store, done func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	scheme, rest, found := strings.Cut(address, ":")
	switch {
	case address == "":
		return nil, func() error { return nil }, nil
	case scheme == "memory" && found:
		store, err = openMemory(rest)
		done = func() error { return nil }
	case scheme == "sqlite" && found:
		store, done, err = openSQL(ctx, sqlstore.SQLite, "sqlite", sqliteName(rest))
	case scheme == "postgres" || scheme == "postgresql":
		store, done, err = openSQL(ctx, sqlstore.Postgres, "pgx", address)
	case scheme == "mysql":
		var name string
		if name, err = mysqlName(address); err == nil {
			store, done, err = openSQL(ctx, sqlstore.MySQL, "mysql", name)
		}
	case scheme == "mongodb" || scheme == "mongodb+srv":
		store, done, err = openMongo(ctx, address)
	case scheme == "redis" || scheme == "rediss" || strings.Contains(address, ","):
		store, done, err = openRedis(ctx, address)
	case scheme == "dynamodb":
		store, err = openDynamo(ctx, address)
		done = func() error { return nil }
	default:
		return nil, nil, fmt.Errorf("-store names no store; it takes %s", storeForms)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("-store %s: %w", scheme, err)
	}
	checkStore(ctx, slog.Default(), scheme, store)
	return store, done, nil
}

// checkStore logs settings of the engine that lose sessions or logouts. A
// program that must not lose any should stop instead.
func checkStore(ctx context.Context, log *slog.Logger, name string, store fallback.Store) {
	checker, ok := store.(fallback.Checker)
	if !ok {
		return
	}
	err := checker.Check(ctx)
	var check *fallback.CheckError
	switch {
	case errors.As(err, &check):
		for _, f := range check.Findings {
			log.Warn("-store "+name+": "+f.String(), "engine", check.Engine)
		}
	case err != nil:
		log.Warn("-store "+name+": its settings cannot be checked", "error", err)
	}
}

func openMemory(options string) (fallback.Store, error) {
	query, err := url.ParseQuery(strings.TrimPrefix(strings.TrimPrefix(options, "//"), "?"))
	if err != nil {
		return nil, errors.New("the options cannot be read; write memory:?bytes=67108864")
	}
	var c fallback.MemoryConfig
	if text := query.Get("bytes"); text != "" {
		if c.MaxBytes, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, errors.New("bytes is not a number; write memory:?bytes=67108864")
		}
	}
	return fallback.NewMemory(c)
}

// openSQL connects, and creates the table if it does not exist.
func openSQL(ctx context.Context, dialect sqlstore.Dialect, driver, name string) (fallback.Store, func() error, error) {
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, nil, errAddress
	}
	db.SetMaxOpenConns(16) // with four replicas, a small server has enough connections
	db.SetMaxIdleConns(16)
	store, err := sqlstore.New(db, sqlstore.Options{Dialect: dialect})
	if err == nil {
		err = store.Migrate(ctx)
	}
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return store, db.Close, nil
}

var errAddress = errors.New("the address cannot be read")

// sqliteName returns the data source of a file that several processes write
// to.
func sqliteName(file string) string {
	return "file:" + strings.TrimPrefix(file, "//") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_txlock=immediate"
}

// mysqlName converts mysql://user:password@host:port/database to the driver's
// form.
func mysqlName(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Path == "" {
		return "", errors.New("the address cannot be read; write mysql://user:password@host:3306/database")
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.DBName, c.User = "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), u.User.Username()
	c.Passwd, _ = u.User.Password()
	if u.Port() == "" {
		c.Addr += ":3306"
	}
	name := c.FormatDSN()
	if u.RawQuery == "" {
		return name, nil
	}
	separator := "?"
	if strings.Contains(name[strings.LastIndex(name, "/"):], "?") {
		separator = "&"
	}
	return name + separator + u.RawQuery, nil
}

// openRedis accepts redis://user:password@host:port/db, and a list of hosts
// for a cluster.
func openRedis(ctx context.Context, address string) (fallback.Store, func() error, error) {
	options, err := redisOptions(address)
	if err != nil {
		return nil, nil, err
	}
	client := redisstore.NewClient(options)
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, nil, fmt.Errorf("it does not answer: %w", err)
	}
	store, err := redisstore.New(client, redisstore.Options{})
	return store, client.Close, err
}

func redisOptions(address string) (*redis.UniversalOptions, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return &redis.UniversalOptions{Addrs: strings.Split(address, ",")}, nil
	}
	access, hosts, found := strings.Cut(rest, "@")
	if !found {
		access, hosts = "", rest
	} else {
		access += "@"
	}
	hosts, path, _ := strings.Cut(hosts, "/")
	addresses := strings.Split(hosts, ",")
	one, err := redis.ParseURL(scheme + "://" + access + addresses[0] + "/" + path)
	if err != nil {
		return nil, errors.New("the address cannot be read; write redis://user:password@host:6379/0")
	}
	o := &redis.UniversalOptions{Addrs: []string{one.Addr}, Username: one.Username, Password: one.Password, DB: one.DB, TLSConfig: one.TLSConfig}
	if len(addresses) > 1 {
		o.Addrs, o.DB = addresses, 0
	}
	return o, nil
}

// storeName returns the name of -store for the page: only its kind.
func storeName(address string) string {
	scheme, _, _ := strings.Cut(address, ":")
	if strings.Contains(address, ",") && scheme != "mongodb" {
		return "redis cluster"
	}
	return scheme
}
