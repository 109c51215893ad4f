// Package sqlstore keeps records in a table of PostgreSQL, MySQL, MariaDB or
// SQLite. It uses database/sql only: the program brings the driver.
//
//	db, err := sql.Open("pgx", "postgres://app@db/app")
//	store, err := sqlstore.New(db, sqlstore.Options{Dialect: sqlstore.Postgres})
//	err = store.Migrate(ctx) // or run what sqlstore.Schema prints
//
// # Drivers
//
// Every driver of these engines should do. Tested: github.com/jackc/pgx/v5,
// github.com/go-sql-driver/mysql, modernc.org/sqlite.
//
// MySQL and MariaDB: it does not matter whether the DSN has clientFoundRows.
// Statements are prepared once for each connection, so that a call is one
// round trip. Behind a pooler that does not pass on prepared statements, set
// Options.WithoutPrepare and, in the DSN, interpolateParams=true. The first write
// of a Store looks at the table and at autocommit: while the columns do not hold
// what is written, or autocommit is off, every write is an error. The server's
// max_allowed_packet must exceed 2 MiB, as by default it does.
//
// PostgreSQL behind PgBouncer in transaction mode: tell pgx not to prepare, with
// default_query_exec_mode=exec in the DSN.
//
// SQLite: let writers wait for each other, or they fail with SQLITE_BUSY:
//
//	file:sessions.db?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate
//
// A database in memory needs db.SetMaxOpenConns(1), or each connection has its own.
//
// # What it promises
//
// Each call is one statement that commits by itself, or some that are safe to
// repeat. A statement that the engine gives up because of another one, as a
// deadlock or a serialization failure, is repeated up to five times, with
// pauses drawn at random; fallback.WithAttempts tells of each. PostgreSQL then
// runs it under READ COMMITTED, by name, so that records do not fail each other
// where the default isolation is stricter. A Save that was given up every time
// is fallback.ErrConflict.
//
// What was acknowledged is as safe as a commit in that database: with
// asynchronous replication a failover can lose the last of them. Read from the
// primary; a replica that lags shows states that are over. [Store.Check] names
// the settings that lose more.
//
// Expired records are never found. They are removed in small batches in
// passing, by one in a hundred Saves, and by [Store.Sweep].
//
// The table holds hashed ids, revisions, sealed data and times. Nothing in it
// can be read without a visitor's cookies.
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
//	ttl, expiration                        Config.Lifetime and Config.IdleTimeout
//	disableTouch                           Config.IdleTimeout below 0; Config.TouchAfter
//	                                       touches seldom, without asking the database
//	pruneSessionInterval, clearExpired,    Options.SweepEvery and SweepBatch: expired rows
//	checkExpirationInterval                go in passing, without a timer. Or [Store.Sweep]
//	pruneSessionRandomizedInterval         none: SweepEvery is a chance, so replicas do
//	                                       not sweep together
//	endConnectionOnClose                   none: the *sql.DB stays yours to close
//	charset                                none: ids and data are bytes
//	errorLog                               Config.Observer: kind "store call"
//	length, clear                          [Store.Len], [Store.Clear]
//	all, ids                               none: ids are hashes and the data is sealed
package sqlstore
