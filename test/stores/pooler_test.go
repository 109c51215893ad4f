package stores

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

// startPgBouncer starts a pooler that can move a connection to another client
// after each transaction.
func startPgBouncer(t testing.TB, upstream *server) *server {
	t.Helper()
	const account = "postgres"
	dir := folder(t, account)
	address, port := freeAddress(t)
	config, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users.txt")
	_, upstreamPort, err := net.SplitHostPort(upstream.address)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(users, []byte("\"postgres\" \"\"\n"), 0o644))
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "[databases]\n* = host=127.0.0.1 port=%s\n[pgbouncer]\n"+
		"listen_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\nauth_type = trust\nauth_file = %s\npool_mode = transaction\n"+
		"max_client_conn = 100\ndefault_pool_size = 4\nignore_startup_parameters = extra_float_digits\n", upstreamPort, port, users), 0o644))
	return (&server{address: address, account: account, stop: syscall.SIGQUIT,
		args: []string{program(t, "/usr/sbin/pgbouncer", "pgbouncer"), config},
		ping: pings("pgx", postgresDSN(address)+"&default_query_exec_mode=exec")}).run(t)
}

// Behind a pooler, each statement can use another connection. So the store
// keeps no prepared statement, setting or lock in a connection.
func TestConformanceBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("this test takes several seconds")
	}
	pooler := startPgBouncer(t, startPostgres(t))
	for _, mode := range []string{"exec", "simple_protocol"} {
		e := engine{"PgBouncer, " + mode, sqlstore.Postgres, "pgx", func(*testing.T) string {
			return postgresDSN(pooler.address) + "&default_query_exec_mode=" + mode
		}}
		t.Run(mode, func(t *testing.T) {
			fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
				clock := fallbacktest.NewClock()
				dsn, db, store, o := e.migrated(t, sqlstore.Options{Clock: clock.Now})
				require.NoError(t, store.Migrate(t.Context()))
				require.NoError(t, store.Check(t.Context()))
				return fallbacktest.Setup{Store: store, Other: newStore(t, e.open(t, dsn), o), Now: clock.Now, Advance: clock.Advance,
					Break: func() { require.NoError(t, db.Close()) }}
			})
		})
	}
}
