package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/carryon-go/carryon/fallback"
)

// verify checks once whether MySQL would lose or truncate acknowledged writes:
// whether autocommit is off, and whether columns are too narrow, which only
// causes a warning in some sql_modes. Other engines have neither problem.
func (s *Store) verify(ctx context.Context) error {
	if s.opt.Dialect != MySQL || s.ready.Load() {
		return nil
	}
	settings, err := s.settings(ctx, "SELECT @@autocommit")
	if err != nil {
		return err
	}
	t, err := s.inspect(ctx)
	if isMySQL(err, myDenied) {
		t, err = table{}, nil
	}
	if err != nil {
		return err
	}
	findings := autocommit(settings[0])
	if t.exists { // otherwise the statement itself fails
		findings = append(findings, t.findings(s)...)
	}
	if len(findings) == 0 {
		s.ready.Store(true)
	}
	return fallback.NewCheckError("MySQL", findings)
}

func autocommit(value string) []fallback.Finding {
	if value != "0" {
		return nil
	}
	return []fallback.Finding{{Setting: "autocommit", Value: "0", Effect: "writes are acknowledged and never committed",
		Fix: "remove it from the DSN, and from init_connect and my.cnf"}}
}

// settings reads one row of text columns.
func (s *Store) settings(ctx context.Context, query string) (values []string, err error) {
	var row *sql.Rows
	if row, err = s.db.QueryContext(ctx, query); err != nil {
		return nil, err
	}
	defer row.Close()
	names, err := row.Columns()
	if err != nil {
		return nil, err
	}
	texts, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range texts {
		into[i] = &texts[i]
	}
	if !row.Next() {
		return nil, errors.Join(row.Err(), errors.New("the server returned no settings"))
	}
	if err := row.Scan(into...); err != nil {
		return nil, err
	}
	for _, text := range texts {
		values = append(values, text.String)
	}
	return values, row.Err()
}

// Check implements [fallback.Checker]. It checks the table as [Store.Migrate]
// does, and the settings of one connection: its isolation, the durability of a
// commit, and whether the server accepts writes. It changes nothing and needs
// only the rights to read and write rows.
func (s *Store) Check(ctx context.Context) error {
	t, err := s.inspect(ctx)
	if err != nil {
		return s.fail(ctx, "read the catalogue", err)
	}
	findings := t.findings(s)
	if t.exists && !t.swept {
		findings = append(findings, fallback.Finding{Setting: "index on expires of " + s.name.table, Value: "missing",
			Effect: "removing expired records reads the whole table", Fix: "call Store.Migrate, or create it as Schema says"})
	}
	ask := map[Dialect]func(context.Context) (string, []fallback.Finding, error){
		Postgres: s.checkPostgres, MySQL: s.checkMySQL, SQLite: s.checkSQLite}[s.opt.Dialect]
	engine, more, err := ask(ctx)
	if err != nil {
		return s.fail(ctx, "read the settings", err)
	}
	return fallback.NewCheckError(engine, append(findings, more...))
}

func (s *Store) checkPostgres(ctx context.Context) (string, []fallback.Finding, error) {
	v, err := s.settings(ctx, "SELECT current_setting('server_version'), current_setting('server_version_num'),"+
		" current_setting('default_transaction_isolation'), current_setting('synchronous_commit'), current_setting('fsync'),"+
		" current_setting('full_page_writes'), current_setting('transaction_read_only')")
	if err != nil {
		return "", nil, err
	}
	persistence := "p"
	if one, err := s.oneText(ctx, "SELECT relpersistence::text FROM pg_catalog.pg_class WHERE oid = to_regclass($1)", s.name.table); err == nil {
		persistence = one
	}
	var f findings
	f.when(atoi(v[1]) < 90500, "server_version", v[0], "it has no INSERT … ON CONFLICT", "use PostgreSQL 9.5 or later")
	f.when(v[2] != "read committed" && v[2] != "read uncommitted", "default_transaction_isolation", v[2],
		"conflicts with other records make statements fail; each retry takes a transaction of three round trips",
		"ALTER ROLE … SET default_transaction_isolation = 'read committed'")
	f.when(v[3] == "off", "synchronous_commit", v[3], "a crash loses the last acknowledged writes, including logouts",
		"set it to on for this role")
	f.when(v[4] == "off", "fsync", v[4], "a crash of the machine can lose the database", "set it to on")
	f.when(v[5] == "off", "full_page_writes", v[5], "a crash of the machine can corrupt the database", "set it to on")
	f.when(v[6] == "on", "transaction_read_only", v[6], "the server refuses writes: it is a replica, or it is configured as read-only",
		"connect to the primary, as with target_session_attrs=read-write")
	f.when(persistence == "u", "persistence of "+s.name.table, "unlogged", "a crash empties the table",
		"ALTER TABLE "+s.name.table+" SET LOGGED")
	return "PostgreSQL " + v[0], f, nil
}

func (s *Store) checkMySQL(ctx context.Context) (string, []fallback.Finding, error) {
	v, err := s.settings(ctx, "SELECT VERSION(), @@autocommit, @@sql_mode, @@max_allowed_packet, @@read_only,"+
		" @@innodb_flush_log_at_trx_commit")
	if err != nil {
		return "", nil, err
	}
	isolation, err := s.settings(ctx, "SELECT @@transaction_isolation")
	if err != nil { // MariaDB before 11.1
		isolation, err = s.settings(ctx, "SELECT @@tx_isolation")
	}
	if err != nil {
		return "", nil, err
	}
	f := findings(autocommit(v[1]))
	f.when(!strings.Contains(v[2], "STRICT_"), "sql_mode", strconv.Quote(v[2]),
		"a value that is too long for a column is truncated instead of refused", "add STRICT_TRANS_TABLES")
	const packet = 2 << 20 // a record and its statement, with every byte escaped
	f.when(atoi(v[3]) < packet, "max_allowed_packet", v[3], "records near 1 MiB are refused", "set it to 16M")
	f.when(v[4] != "0" && v[4] != "OFF", "read_only", v[4], "the server refuses writes: it is a replica, or it is configured as read-only",
		"connect to the primary")
	f.when(v[5] != "1", "innodb_flush_log_at_trx_commit", v[5],
		"a crash loses the acknowledged writes of the last second, including logouts", "set it to 1")
	f.when(strings.EqualFold(isolation[0], "READ-UNCOMMITTED"), "transaction_isolation", isolation[0],
		"a read can see a write that is then rolled back", "use READ-COMMITTED or REPEATABLE-READ")
	f.when(strings.EqualFold(isolation[0], "SERIALIZABLE"), "transaction_isolation", isolation[0],
		"reads wait for writers, and deadlocks are frequent", "use READ-COMMITTED or REPEATABLE-READ")
	if engine := s.storageEngine(ctx); engine != "" {
		f.when(!strings.EqualFold(engine, "InnoDB"), "engine of "+s.name.table, engine,
			"a crash can lose or corrupt acknowledged writes", "ALTER TABLE "+s.name.table+" ENGINE=InnoDB")
	}
	return "MySQL " + v[0], f, nil
}

// storageEngine returns the engine of the table, or "" if it is unknown.
func (s *Store) storageEngine(ctx context.Context) (engine string) {
	_ = s.readMaps(ctx, func(r map[string]string) {
		_, rest, _ := strings.Cut(r["create table"], ") ENGINE=")
		engine, _, _ = strings.Cut(rest, " ")
	}, "SHOW CREATE TABLE "+s.name.table)
	return engine
}

func (s *Store) checkSQLite(ctx context.Context) (string, []fallback.Finding, error) {
	v, err := s.settings(ctx, "SELECT sqlite_version(), (SELECT journal_mode FROM pragma_journal_mode),"+
		" (SELECT synchronous FROM pragma_synchronous), (SELECT timeout FROM pragma_busy_timeout),"+
		" (SELECT query_only FROM pragma_query_only)")
	if err != nil {
		return "", nil, err
	}
	var f findings
	f.when(olderThan(v[0], 3, 24), "sqlite_version", v[0], "it has no INSERT … ON CONFLICT", "use SQLite 3.24 or later")
	f.when(v[1] == "memory" || v[1] == "off", "journal_mode", v[1], "a crash loses or corrupts the database", "set it to wal")
	f.when(v[2] == "0", "synchronous", v[2], "a crash of the machine can corrupt the database", "set it to normal or full")
	f.when(v[3] == "0", "busy_timeout", v[3], "concurrent writers fail with SQLITE_BUSY", "set it to 5000")
	f.when(v[4] == "1", "query_only", v[4], "the connection refuses writes", "set it to off")
	return "SQLite " + v[0], f, nil
}

func (s *Store) oneText(ctx context.Context, query string, args ...any) (text string, err error) {
	err = s.db.QueryRowContext(ctx, query, args...).Scan(&text)
	return text, err
}

type findings []fallback.Finding

func (f *findings) when(wrong bool, setting, value, effect, fix string) {
	if wrong {
		*f = append(*f, fallback.Finding{Setting: setting, Value: value, Effect: effect, Fix: fix})
	}
}

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func olderThan(version string, major, minor int) bool {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return false
	}
	return atoi(parts[0]) < major || atoi(parts[0]) == major && atoi(parts[1]) < minor
}
