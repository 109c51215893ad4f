// Package scsstore stores records in any store that was written for
// github.com/alexedwards/scs/v2. There are more than twenty, such as Badger,
// Bolt, CockroachDB, Consul, etcd, Firestore, GORM, LevelDB, Memcached and SQL
// Server, and your own.
//
//	store, err := scsstore.New(badgerstore.New(db), scsstore.Options{})
//
// If Carryon has a store for your engine, use that one. It is faster and gives
// stronger guarantees.
//
// # The last writer wins
//
// Stores of scs can find, commit and delete, but cannot compare and swap. So
// this package reads, compares and writes, and serialises the calls for one
// record within one Store:
//
//   - One process with one Store over the engine: all guarantees of
//
// [fallback.Store] hold, with one exception. A cancelled Save, because its
// context ended or the connection broke, can still arrive at the engine later
// and then undo a newer Save.
//   - Several replicas, or several Stores over the same records: of two concurrent
//
// writes of one session, the later one remains and the other is lost, although
// it was acknowledged. A write or touch concurrent with a logout, a Renew or a
// revocation can restore what was deleted, until it expires. Sticky sessions
// make that rare, but not impossible.
//
// In the first case, the store passes the whole conformance suite in
// fallbacktest. In the second case, these cases fail: race of writers, race of
// creators, race of creators over an expired record, counter, delete against
// save, delete against touch, touch against save. A test of such an engine
// must set Setup.DangerouslyLastWriterWins.
//
// # Calls
//
// Load is one Find. Save and Touch are a Find and a Commit. Delete is one
// Delete. A scs.CtxStore gets the context. Any other store cannot be
// interrupted: a call takes as long as the engine needs, even beyond
// Config.Fallback.Timeout. The context is checked before each step.
//
// For Len and Clear, the engine sends all its records. If the scs store cannot
// list (see scs.IterableStore and scs.IterableCtxStore), the error is
// errors.ErrUnsupported.
//
// # What is stored
//
// The token is 43 characters of URL-safe base64, like those of scs: the
// SHA-256 of the prefix and the id. It fits the columns that the stores of scs
// document, including case-insensitive ones.
//
// The value is "c1" followed by unpadded URL-safe base64. The encoded parts
// are: the revision's number (8 bytes, big endian) and tag (16), the expiry in
// milliseconds since 1970 (8), the length of the id (1) and the id, the length
// of the sealed data (4) and the data. So the value is text, which every
// engine can store, and a third longer than the data. A truncated value, or
// one of another program, is an error and not a missing record.
//
// In the engine, a record expires one minute later, for replicas whose clocks
// are behind. An expired record is never returned during that minute. A record
// that has expired on arrival is deleted instead.
//
// # Engines
//
// Many engines store less than 1 MiB per record: set Options.MaxRecord to
// their limit. [Store.Check] tests it. The documented schema of scs's
// mysqlstore has a BLOB, which is limited to 65,535 bytes: use a MEDIUMBLOB,
// or set MaxRecord to 48,000. Its TIMESTAMP ends in 2038.
//
// scs.SessionManager.Iterate reads all values of its store and fails for those
// of this package. If a program uses both, give each its own table or prefix.
//
// An engine that evicts records when it is full, such as Memcached, also
// evicts the markers of logouts.
package scsstore
