package stores

import (
	"bytes"
	"context"
	"database/sql"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A server is a database that a test starts in a temporary folder. The test can
// kill and restart it.
type server struct {
	t       testing.TB
	address string
	args    []string // the program and its arguments
	account string   // account to use instead of root, because some programs refuse to run as root
	ping    func(ctx context.Context) error
	stop    syscall.Signal // signal that simulates a crash
	process *exec.Cmd
	said    bytes.Buffer // read only after the process has ended
}

// start starts the server and waits until it responds.
func (s *server) start() {
	s.t.Helper()
	s.process = as(s.account, exec.Command(s.args[0], s.args[1:]...))
	s.process.Stdout, s.process.Stderr = &s.said, &s.said
	require.NoError(s.t, s.process.Start())
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := s.ping(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			s.crash()
			s.t.Fatalf("%s does not respond: %v\n%s", filepath.Base(s.args[0]), err, s.said.String())
		}
	}
}

// crash ends the server without giving it time to write. It may be called
// again.
func (s *server) crash() {
	_ = s.process.Process.Signal(s.stop)
	_ = s.process.Wait()
}

// folder creates a folder that the account may write to.
func folder(t testing.TB, account string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "carryon-"+account)
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if u, err := user.Lookup(account); err == nil && os.Getuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		require.NoError(t, os.Chown(dir, uid, gid))
	}
	return dir
}

// program finds an installed program, also in folders of Debian that are not in
// PATH.
func program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return slices.Max(found)
		}
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	absent(t, names[0], exec.ErrNotFound)
	return ""
}

func must(t testing.TB, c *exec.Cmd) {
	t.Helper()
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func freeAddress(t testing.TB) (address, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port
}

// run starts a server and ends it with the test.
func (s *server) run(t testing.TB) *server {
	t.Helper()
	s.t = t
	s.start()
	t.Cleanup(s.crash)
	return s
}

// startRedis starts a Redis. If durable, it syncs to disk before it
// acknowledges; otherwise it stores nothing on disk. More options of its
// command line can follow.
func startRedis(t testing.TB, durable bool, more ...string) *server {
	address, port := freeAddress(t)
	keep := []string{"--appendonly", "no"}
	if durable {
		keep = []string{"--appendonly", "yes", "--appendfsync", "always"}
	}
	return (&server{address: address, stop: syscall.SIGKILL,
		args: append([]string{program(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", folder(t, "redis"), "--save", ""}, append(keep, more...)...),
		ping: func(ctx context.Context) error {
			client := redis.NewClient(&redis.Options{Addr: address})
			defer client.Close()
			return client.Ping(ctx).Err()
		}}).run(t)
}

// startPostgres starts a PostgreSQL with its default durability. An immediate
// shutdown is like a crash: PostgreSQL recovers from its log at the next start.
func startPostgres(t testing.TB) *server {
	const account = "postgres"
	dir := folder(t, account)
	initdb := program(t, "/usr/lib/postgresql/*/bin/initdb", "initdb")
	must(t, as(account, exec.Command(initdb, "-D", dir+"/db", "-A", "trust", "-U", "postgres", "--no-sync")))
	address, port := freeAddress(t)
	return (&server{address: address, account: account, stop: syscall.SIGQUIT,
		args: []string{filepath.Join(filepath.Dir(initdb), "postgres"), "-D", dir + "/db", "-p", port, "-h", "127.0.0.1", "-k", dir,
			"-c", "recovery_init_sync_method=syncfs"},
		ping: pings("pgx", postgresDSN(address))}).run(t)
}

func postgresDSN(address string) string {
	return "postgres://postgres@" + address + "/postgres?sslmode=disable&connect_timeout=1"
}

// startMariaDB starts a MariaDB with its default durability.
func startMariaDB(t testing.TB) *server {
	const account = "mysql"
	dir := folder(t, account)
	install := program(t, "mariadb-install-db", "mysql_install_db")
	must(t, as(account, exec.Command(install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--datadir="+dir+"/db")))
	address, port := freeAddress(t)
	s := (&server{address: address, account: account, stop: syscall.SIGKILL,
		args: []string{program(t, "/usr/sbin/mariadbd", "mariadbd"), "--no-defaults", "--datadir=" + dir + "/db", "--bind-address=127.0.0.1",
			"--port=" + port, "--socket=" + dir + "/s", "--pid-file=" + dir + "/p"},
		ping: pings("mysql", "root@tcp("+address+")/")}).run(t)
	db, err := sql.Open("mysql", "root@tcp("+address+")/")
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "CREATE DATABASE test")
	require.NoError(t, err)
	return s
}

func mariaDSN(address string) string {
	return "root@tcp(" + address + ")/test?timeout=1s&readTimeout=1s"
}

// answers returns a function that checks whether a program responds over HTTP.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
}

func pings(driver, dsn string) func(context.Context) error {
	return func(ctx context.Context) error {
		db, err := sql.Open(driver, dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx)
	}
}
