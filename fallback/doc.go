// Package fallback defines what a store for sessions that are too large for
// cookies must do, and contains one that needs no server: [Memory].
//
// A store sees an id, which is a hash that only the visitor's cookies lead
// back from, and bytes that are sealed. The store cannot read the bytes, so it
// need not be trusted to keep them secret. It is trusted to keep them, and to
// compare and swap. Losing a store loses the sessions in it, and no others.
//
// The stores, all of which pass [Carryon's conformance suite]:
//
//	fallback.NewMemory     this process only: development, one server, tests
//	fallback/sqlstore      PostgreSQL, MySQL, MariaDB, SQLite, by database/sql
//	fallback/redisstore    Redis: single, Sentinel, Cluster (a module of its own)
//	fallback/dynamostore   Amazon DynamoDB, records up to 400 KB (a module of its own)
//	fallback/mongostore    MongoDB: replica sets, sharded clusters (a module of its own)
//
// # Writing a store
//
// [Store] has four methods. Begin Save with [CheckSave] and the others with
// [CheckID], decide what has expired by a clock that can be injected, and run
// the suite in fallbacktest against the real engine. Never answer an outage
// with [ErrNotFound] or [ErrConflict]: the visitor would be logged out, or
// written over.
//
// If the engine has settings that lose records, implement [Checker]. If it
// drops records to make room, look at [Record.Kind]. If the store repeats an
// attempt by itself, call [ReportAttempt].
//
// [Carryon's conformance suite]: https://pkg.go.dev/github.com/carryon-go/carryon/fallback/fallbacktest
package fallback
