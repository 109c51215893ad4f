// Package mongostore stores records in a collection of MongoDB. It uses the
// official driver, go.mongodb.org/mongo-driver/v2.
//
//	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://10.0.0.1,10.0.0.2,10.0.0.3/?replicaSet=rs0"))
//	store, err := mongostore.New(client.Database("app").Collection(mongostore.DefaultCollection), mongostore.Options{})
//	err = store.Migrate(ctx) // or run what mongostore.Schema prints
//
// Continuous integration runs the real driver against a strict test server
// that speaks the protocol, and against FerretDB 1.24.2 without the races. The
// package has not been tested against a real MongoDB. To run the suite on
// yours, use a clone of the repository; the suite creates and drops its own
// database:
//
//	MONGODB_URI='mongodb://127.0.0.1/?replicaSet=rs0' go test -v -run RealMongoDB ./fallback/mongostore
//
// # Important settings
//
// The store sets its own write concern, read concern, read preference,
// registry and BSON options, and ignores those of the collection and the
// client. It also ignores a MongoDB session in the context, so no call is part
// of a transaction that the program could abort.
//
// MongoDB must be a replica set, of at least one member, or sharded. A
// standalone server refuses linearizable reads; with Options.MajorityReads it
// works.
//
// Other services and programs that speak the protocol may let two writers win
// where only one may. Run the suite there first, as above. FerretDB 1 has this
// fault, with PostgreSQL and with SQLite: of 160 acknowledged increments, 30
// to 60 were kept. It also lacks the index that removes expired records.
// [Store.Check] reports FerretDB 1 and other settings that lose records.
//
// Use a separate collection for the store. If it is sharded, use a hashed _id
// as the shard key; otherwise _id would not be unique. The collection must not
// have another unique index, a validator that refuses the documents, or a size
// limit (capped).
//
// Set a Timeout on the client, or use a context that ends for each call, as
// the middleware does. A write that no majority accepts waits until then.
//
// # Guarantees
//
// A call is one command on one document, found by its _id. Compare-and-swap is
// a filter with the revision. Creating is an insert, which the unique _id
// refuses if a record exists. Only in that case, and if a Save or a Touch
// matches nothing, further calls read the current record.
//
// An acknowledged write is in the journals of a majority. It survives
// failovers and the loss of any minority. The driver or the caller may repeat
// a write whose answer was lost; that does no harm.
//
// A Load is linearizable: the primary confirms with a majority that it still
// is the primary. So a session is never visible after its logout was
// acknowledged, and nothing can be read without a majority. Each Load costs a
// round trip between members and about 100 bytes in the oplog.
// Options.MajorityReads avoids that cost. A primary that was cut off and has
// not noticed then shows outdated records for about ten seconds
// (electionTimeoutMillis) to clients that still reach it. It cannot write
// them.
//
// MongoDB removes an expired record one minute after its expiry, by its own
// clock, and checks once a minute. That minute is for replicas whose clocks
// are behind. An expired record is never returned.
//
// # What is stored
//
//	_id      binary    the id
//	number   int64     the revision's number
//	tag      binary    and its 16 random bytes
//	data     binary    sealed
//	expires  date      to the millisecond
//
// Ids are binary because any bytes can be an id, and because a collection's
// collation does not apply to binary values. A collation can treat two texts
// as equal or sort digits as numbers. Binary _ids are common, since Java and
// .NET programs store UUIDs that way.
//
// # For users of connect-mongo
//
//	mongoUrl, mongoOptions  mongo.Connect(options.Client().ApplyURI(url))
//	client, clientPromise   the first argument of [New]: a collection of your client,
//	                        which stays yours to disconnect
//	dbName, collectionName  the same: client.Database(name).Collection(name)
//	ttl                     Config.Lifetimes.Absolute and Config.Lifetimes.Idle; not the store's
//	                        to decide
//	autoRemove "native"     [Store.Migrate], or what [Schema] prints: a TTL index
//	autoRemove "interval",  none: MongoDB removes by itself. Without the index
//	autoRemoveInterval      nothing is removed, and nothing expired is found
//	autoRemove "disabled"   leave Migrate out
//	createAutoRemoveIdx     as autoRemove
//	touchAfter              Config.Lifetimes.TouchAfter, decided from the cookie alone
//	timestamps              none: Session.Created has one of them, sealed
//	stringify, serialize,   none: values are CBOR, sealed before the store sees them
//	unserialize
//	writeOperationOptions   none: always a majority, journaled
//	transformId             always: ids are hashes that only the visitor's cookie
//	                        leads back from
//	crypto, cryptoAdapter   always, with a key for each session
//	length, clear           [Store.Len], [Store.Clear]
//	all                     none: ids are hashes and the data is sealed
//	close                   client.Disconnect, when no handler is running
//	events create, touch,   Config.Observer: kind "store call"
//	update, set, destroy
//
// The collection of connect-mongo cannot be reused, because its TTL index
// lacks the minute of grace. [Store.Migrate] reports that.
package mongostore
