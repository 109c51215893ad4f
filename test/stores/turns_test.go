package stores

import (
	"context"
	"database/sql"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// turns is a proxy that counts round trips: how often the client sends after
// the server has sent.
type turns struct {
	address string
	count   atomic.Int64
}

func countTurns(t *testing.T, server string) *turns {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	p := &turns{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.pass(client, server)
		}
	}()
	return p
}

func (p *turns) pass(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	var mu sync.Mutex
	waiting := false // for the server
	go pipe(client, upstream, func() {
		mu.Lock()
		defer mu.Unlock()
		if !waiting {
			p.count.Add(1)
		}
		waiting = true
	})
	pipe(upstream, client, func() {
		mu.Lock()
		defer mu.Unlock()
		waiting = false
	})
}

func pipe(from, to net.Conn, seen func()) {
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		seen()
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// hostOf returns the host and port in a DSN.
func hostOf(t *testing.T, dsn string) string {
	t.Helper()
	host := regexp.MustCompile(`(?:@|\(|//)([^@/()]+:[0-9]+)(?:[/?)]|$)`).FindStringSubmatch(dsn)
	require.NotEmpty(t, host, "the DSN has no host and port")
	return host[1]
}

// TestRoundTrips measures each call of a store, after its statements are
// prepared.
func TestRoundTrips(t *testing.T) {
	for _, e := range engines[:2] {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			direct := e.open(t, dsn)
			server := hostOf(t, dsn)
			proxy := countTurns(t, server)
			db := e.open(t, strings.Replace(dsn, server, proxy.address, 1))
			store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: e.newTable(t, direct, dsn), SweepEvery: -1})
			require.NoError(t, store.Migrate(t.Context()))
			checkTurns(t, proxy, db, store)
		})
	}
}

func checkTurns(t *testing.T, proxy *turns, db *sql.DB, store fallback.Store) {
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	one := fallback.Record{Revision: fallback.Revision{}.Next(), Data: make([]byte, 20_000), Expires: time.Now().Add(time.Hour)}
	two := one
	two.Revision = one.Revision.Next()
	calls := []struct {
		name string
		call func(id string) error
		err  error
	}{
		{"Save of a new record", func(id string) error { return store.Save(ctx, id, fallback.Revision{}, one) }, nil},
		{"Load", func(id string) error { _, err := store.Load(ctx, id); return err }, nil},
		{"Save", func(id string) error { return store.Save(ctx, id, one.Revision, two) }, nil},
		{"Touch", func(id string) error { return store.Touch(ctx, id, one.Expires.Add(time.Hour)) }, nil},
		{"Delete", func(id string) error { return store.Delete(ctx, id) }, nil},
		{"Load of nothing", func(id string) error { _, err := store.Load(ctx, id); return err }, fallback.ErrNotFound},
	}
	for _, c := range calls {
		require.ErrorIs(t, c.call("to prepare"), c.err, c.name)
	}
	for _, c := range calls {
		before := proxy.count.Load()
		require.ErrorIs(t, c.call("id"), c.err, c.name)
		require.Equal(t, int64(1), proxy.count.Load()-before, c.name)
	}
}
