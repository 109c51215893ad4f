// Package mongostore keeps records in a collection of MongoDB, through the
// official driver, go.mongodb.org/mongo-driver/v2.
//
//	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://10.0.0.1,10.0.0.2,10.0.0.3/?replicaSet=rs0"))
//	store, err := mongostore.New(client.Database("app").Collection(mongostore.DefaultCollection), mongostore.Options{})
//	err = store.Migrate(ctx) // or run what mongostore.Schema prints
//
// Tested, in continuous integration, with the real driver against a strict
// server of our own that speaks the protocol in the test's process, and against
// FerretDB 1.24.2, without the races. It has not been tested against a real
// MongoDB. To run the suite on yours, in a clone of the repository and in a
// database that the suite creates and drops:
//
//	MONGODB_URI='mongodb://127.0.0.1/?replicaSet=rs0' go test -v -run RealMongoDB ./fallback/mongostore
//
// # Settings that matter
//
// The collection's and the client's write concern, read concern, read
// preference, registry and BSON options do not matter: the store sets its own.
// A session of MongoDB in the context does not either: no call takes part in a
// transaction of the program's, which could undo it.
//
// MongoDB must be a replica set, of one member at least, or sharded. A server
// that stands alone refuses linearizable reads; Options.MajorityReads does
// without.
//
// Services and programs that speak the protocol and are not MongoDB may let two
// writers win where one may: run the suite there first, as above. FerretDB 1
// does, over PostgreSQL and over SQLite: of 160 increments that it acknowledged,
// 30 to 60 were kept. It has no index that removes what has expired either.
// [Store.Check] names it, and other settings that lose records.
//
// Give the store a collection of its own. If it is sharded, then by _id,
// hashed: by another key, _id would not be unique. No other unique index, no
// validator that forbids what is stored, no capped collection.
//
// Let the client have a Timeout, or each call a context that ends, as the
// middleware gives it: a write that no majority takes waits until then.
//
// # What it promises
//
// A call is one command on one document, found by its _id. Compare-and-swap is
// a filter that names the revision. Creating is an insert, which the unique
// _id refuses where something stands; only then, and where a Save or a Touch
// finds nothing, further calls ask what stands there.
//
// What was acknowledged is in the journals of a majority: it survives the
// death of any minority, and failovers. The driver may send a write again when
// its answer was lost, and so may the caller; that does no harm.
//
// A Load is linearizable: the primary asks a majority whether it still is the
// primary before it answers, so that a session cannot be shown after its
// logout was acknowledged; without a majority nothing is read. That costs each Load a round trip between members,
// and a line of some 100 bytes in the oplog. With Options.MajorityReads it
// costs nothing, and a primary that was cut off and does not know it yet
// shows, for about ten seconds (electionTimeoutMillis), states that are over
// to those who still reach it; it cannot write them.
//
// MongoDB removes what has expired one minute after its expiry, by its own
// clock, and looks once in a minute. The minute is for replicas whose clocks
// are behind. What has expired is found by nobody meanwhile.
//
// # What is stored
//
//	_id      binary    the id
//	number   int64     the revision's number
//	tag      binary    and its 16 random bytes
//	data     binary    sealed
//	expires  date      to the millisecond
//
// Ids are binary and not text: any bytes can be one, and a collection's
// collation, which can take two texts for the same or sort digits as numbers,
// does not look at them. Binary _ids are what every UUID is that a Java or
// .NET program stores, so that whatever speaks the protocol has met them.
//
// # For users of connect-mongo
//
//	mongoUrl, mongoOptions  mongo.Connect(options.Client().ApplyURI(url))
//	client, clientPromise   the first argument of [New]: a collection of your client,
//	                        which stays yours to disconnect
//	dbName, collectionName  the same: client.Database(name).Collection(name)
//	ttl                     Config.Lifetime and Config.IdleTimeout; not the store's
//	                        to decide
//	autoRemove "native"     [Store.Migrate], or what [Schema] prints: a TTL index
//	autoRemove "interval",  none: MongoDB removes by itself. Without the index
//	autoRemoveInterval      nothing is removed, and nothing expired is found
//	autoRemove "disabled"   leave Migrate out
//	createAutoRemoveIdx     as autoRemove
//	touchAfter              Config.TouchAfter, decided from the cookie alone
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
// The collection of connect-mongo cannot be used further: its TTL index has no
// minute of grace, and [Store.Migrate] says so.
package mongostore
