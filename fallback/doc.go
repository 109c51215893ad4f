// Package fallback defines the interface of a store for sessions that are too
// large for cookies, and contains a store that needs no server: [Memory].
//
// A store receives an id and sealed bytes. The id is a hash that can be
// computed only from the visitor's cookies. The store cannot read the bytes,
// so it need not be trusted to keep them secret. It must keep them, and it
// must compare and swap correctly. The loss of a store loses the sessions in
// it, and no others.
//
// These stores all pass [Carryon's conformance suite]:
//
//	fallback.NewMemory     this process only: development, one server, tests
//	fallback/sqlstore      PostgreSQL, MySQL, MariaDB, SQLite, by database/sql
//	fallback/redisstore    Redis: single, Sentinel, Cluster (a module of its own)
//	fallback/dynamostore   Amazon DynamoDB, records up to 400 KB (a module of its own)
//	fallback/mongostore    MongoDB: replica sets, sharded clusters (a module of its own)
//
// # Writing a store
//
// [Store] has four methods. Call [CheckSave] first in Save and [CheckID] first
// in the others. Decide expiry with a clock that can be injected. Run the
// suite in fallbacktest against the real engine. Never return [ErrNotFound] or
// [ErrConflict] during an outage: the visitor would be logged out, or the
// record overwritten.
//
// If the engine has settings that lose records, implement [Checker]. If it
// evicts records, use [Record.Kind] to choose them. If the store retries by
// itself, call [ReportAttempt].
//
// [Carryon's conformance suite]: https://pkg.go.dev/github.com/carryon-go/carryon/fallback/fallbacktest
package fallback
