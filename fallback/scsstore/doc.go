// Package scsstore keeps records in any store that was made for
// github.com/alexedwards/scs/v2, of which there are more than twenty: Badger,
// Bolt, CockroachDB, Consul, etcd, Firestore, GORM, LevelDB, Memcached, SQL
// Server, and what a program has written for itself.
//
//	store, err := scsstore.New(badgerstore.New(db), scsstore.Options{})
//
// Where Carryon has a store for the engine, use that one: it is faster and
// promises more.
//
// # The last writer wins
//
// Stores of scs can find, commit and delete. None of them can compare and
// swap. So this package reads, compares and writes, and lets the calls for one
// record wait for each other, in this Store of this process:
//
//   - One process with one Store over the engine: all that [fallback.Store]
//     promises holds. A Save that was given up, because its context ended or
//     the connection broke, can still arrive at the engine later, and then
//     undoes what was saved meanwhile.
//   - Several replicas, or several Stores over the same records: of two writes
//     of one session that meet, the last one stays and the other is lost, though
//     it was acknowledged. A write or a touch that meets a logout, a Renew or a
//     revocation can bring back what that has deleted, until it expires. Visits
//     of one session to one replica only (sticky sessions) make it rare, not
//     impossible.
//
// Of the conformance suite in fallbacktest, everything passes in the first
// case. In the second these do not hold: race of writers, race of creators,
// race of creators over an expired record, counter, delete against save,
// delete against touch, touch against save. A test of such an engine says so
// with Setup.DangerouslyLastWriterWins.
//
// # Calls
//
// Load is one Find. Save and Touch are a Find and a Commit. Delete is one
// Delete. A store that is a scs.CtxStore is given the context. One that is not
// cannot be interrupted: a call takes as long as the engine lets it, whatever
// Config.StoreTimeout says, and the context is asked before each step.
//
// Len and Clear have the engine send all that it has. If the scs store cannot
// list (as scs.IterableStore and scs.IterableCtxStore can), their error is
// errors.ErrUnsupported.
//
// # What is stored
//
// The token is 43 characters of URL-safe base64, as those of scs are: the
// SHA-256 of the prefix and the id. It fits the columns that the stores of scs
// document, and survives those that do not tell upper from lower case.
//
// The value is "c1" and URL-safe base64 without padding of: the revision's
// number (8 bytes, big endian) and tag (16), the expiry in milliseconds since
// 1970 (8), the length of the id (1) and the id, the length of the sealed data
// (4) and the data. So it is text, which every engine can hold, and a third
// longer than the data. One that was cut short, or that another program has
// written, is an error and not a missing record.
//
// The engine is told an expiry one minute after the record's, for replicas
// whose clocks are behind; what has expired is found by nobody meanwhile. A
// record that has expired when it arrives is deleted instead.
//
// # Engines
//
// Many hold less than the 1 MiB that a record may have: say so in
// Options.MaxRecord. [Store.Check] tries it. The schema that scs's mysqlstore documents has a BLOB,
// which ends at 65,535 bytes: make it a MEDIUMBLOB, or set MaxRecord to 48,000.
// Its TIMESTAMP ends in 2038.
//
// scs.SessionManager.Iterate reads all that its store has, and cannot read
// what is written here: where a program uses both, give each a table or a
// prefix of its own.
//
// An engine that drops what it likes when it is full, such as Memcached, also
// drops the markers of logouts.
package scsstore
