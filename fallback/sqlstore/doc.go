// Package sqlstore stores records in a table of PostgreSQL, MySQL, MariaDB or
// SQLite. It uses only database/sql: the program imports the driver.
//
//	db, err := sql.Open("pgx", "postgres://app@db/app")
//	store, err := sqlstore.New(db, sqlstore.Options{Dialect: sqlstore.Postgres})
//	err = store.Migrate(ctx) // or run what sqlstore.Schema prints
//
// # Drivers
//
// Any driver for these engines should work. Tested drivers:
// github.com/jackc/pgx/v5, github.com/go-sql-driver/mysql, modernc.org/sqlite.
//
// MySQL and MariaDB: clientFoundRows in the DSN makes no difference.
// Statements are prepared once per connection, so a call takes one round trip.
// If a pooler does not support prepared statements, set Options.WithoutPrepare
// and add interpolateParams=true to the DSN. The first write of a Store checks
// the columns and autocommit. Every write fails while the columns are too
// small or autocommit is off. The server's max_allowed_packet must exceed 2
// MiB, as it does by default.
//
// PostgreSQL behind PgBouncer in transaction mode: set
// default_query_exec_mode=exec in the DSN, so that pgx does not prepare
// statements.
//
// SQLite: set a busy timeout, or concurrent writers fail with SQLITE_BUSY:
//
//	file:sessions.db?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate
//
// For a database in memory, call db.SetMaxOpenConns(1); otherwise each
// connection has its own database.
//
// # Guarantees
//
// Each call is one auto-committed statement, or several that are safe to
// repeat. A statement that the engine aborts because of a deadlock or a
// serialization failure is retried up to five times with random pauses;
// fallback.WithAttempts reports each retry. On PostgreSQL, retries run under
// READ COMMITTED, because under a stricter default isolation unrelated records
// can conflict. A Save that fails every time returns fallback.ErrConflict.
//
// An acknowledged write is as durable as a commit in that database. With
// asynchronous replication, a failover can lose the last writes. Always read
// from the primary, because a replica that lags returns outdated records.
// [Store.Check] reports settings that lose more.
//
// Expired records are never returned. One in a hundred Saves removes a small
// batch of them, and so does [Store.Sweep].
//
// The table holds hashed ids, revisions, sealed data and times. The data
// cannot be read without a visitor's cookies.
//
// # For users of connect-pg-simple and express-mysql-session
//
//	pool, pgPromise, conString, conObject  the first argument of [New]: a *sql.DB
//	connection, host, user, ...            the same
//	tableName, schema.tableName            Options.Table
//	schemaName                             Options.Table, as in "schema.table"
//	schema.columnNames                     none: the columns are the store's own
//	createTableIfMissing,                  [Store.Migrate], or what [Schema] prints
//	createDatabaseTable
//	ttl, expiration                        Config.Lifetimes.Absolute and Config.Lifetimes.Idle
//	disableTouch                           Config.Lifetimes.Idle below 0; Config.Lifetimes.TouchAfter
//	                                       touches rarely, without asking the database
//	pruneSessionInterval, clearExpired,    Options.SweepEvery and SweepBatch: expired rows
//	checkExpirationInterval                are removed by Saves, without a timer. Or [Store.Sweep]
//	pruneSessionRandomizedInterval         none: SweepEvery is a chance, so replicas do
//	                                       not sweep together
//	endConnectionOnClose                   none: the *sql.DB stays yours to close
//	charset                                none: ids and data are bytes
//	errorLog                               Config.Observer: kind "store call"
//	length, clear                          [Store.Len], [Store.Clear]
//	all, ids                               none: ids are hashes and the data is sealed
package sqlstore
