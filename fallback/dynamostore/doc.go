// Package dynamostore stores records in a table of Amazon DynamoDB. It uses
// github.com/aws/aws-sdk-go-v2.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	client := dynamodb.NewFromConfig(cfg, dynamostore.ClientOptions)
//	store, err := dynamostore.New(client, dynamostore.Options{})
//	err = store.Migrate(ctx) // or what CloudFormation and Terraform print
//
// # Important settings
//
// Use [ClientOptions]. By default the SDK waits without limit for an answer,
// pauses up to 2 seconds before it repeats a throttled request, and keeps 10
// idle connections. Config.Fallback.Timeout ends a call in any case.
//
// Create the client once at startup, not for each request. In a Lambda, create
// it outside of the handler: connections survive a freeze, and the SDK drops
// those that were idle for more than 90 seconds. A connection that died in
// between costs one second before the retry.
//
// [Policy] prints the required rights: four actions. The program does not need
// rights to create or scan tables.
//
// # Guarantees
//
// A call is one request for one item. Reads are strongly consistent, and
// writes are conditional: DynamoDB compares and swaps. It acknowledges a write
// when two of three availability zones have it. Repeating a request whose
// answer was lost does no harm: a Save that is already stored succeeds. If
// another write has followed in the meantime, the repeated Save is a conflict.
// The caller then applies its change a second time, so a counter counts twice.
//
// A request that fails, including by throttling, is an error after three
// attempts of the SDK or when the context ends. It is never reported as a
// result about the record.
//
// Global tables use eventual consistency between regions by default, so
// conditions apply only within one region. Of two writes of a session in two
// regions within about a second, only the later one remains, although both
// were acknowledged. A write in one region can restore a session after its
// logout in another. Send each visitor to one region, or use strong
// consistency between regions (untested; it has no TTL).
//
// DAX does not help, because its caches do not serve strongly consistent
// reads.
//
// A table restored from a backup contains sessions that have ended since. Call
// [Store.Clear] before you use it; all users whose sessions it contains must
// then log in again.
//
// # Limits
//
// An item of DynamoDB has at most 400 KB. So a record may have [MaxRecord]
// bytes, where other stores accept 1 MiB; a larger one is
// fallback.ErrTooLarge. Several items per record would need transactions,
// which cost twice as much.
//
// One item allows 3,000 read units and 1,000 write units per second, whatever
// the capacity of the table. A session of 100 KB can be written 10 times per
// second.
//
// # Costs
//
//	Load           a read unit for every 4 KB of the record, at least 1
//	Save           a write unit for every 1 KB, at least 1; where it conflicts, too
//	Touch          the same as a Save of that record: Config.Lifetimes.TouchAfter makes it seldom
//	Delete         a write unit for every 1 KB of what it deletes, at least 1
//	Len            a read unit for every 4 KB of the table
//	Clear          the same, and a write unit for every 1 KB of the table
//	expired items  their removal is free; until then, some days at most, their storage
//
// # What is stored
//
// An item for each record:
//
//	id       B  the key: the id's bytes, as they are; as text they would have to be
//	            encoded, and be longer
//	rev      B  the revision's number (8 bytes, big endian) and tag (16)
//	expires  N  milliseconds since 1970
//	ttl      N  seconds since 1970: a minute after expires, for replicas whose clocks
//	            are behind. DynamoDB removes the item then or, as it likes, days later
//	sealed   B  the data; absent where there is none
//
// An expired item is never returned, whether it was removed or not. An item
// with other attributes is an error. Save does not overwrite it and Clear
// keeps it, but Delete deletes it.
//
// [Store.Check] reports a table with another key, a TTL that is disabled or
// uses another attribute, and replicas in other regions.
//
// Continuous integration tests the package against dynalite 4, not against
// Amazon's DynamoDB. (DynamoDB Local is not open source.) dynalite does not
// support UpdateTimeToLive, which [Store.Migrate] accepts, and does not return
// the item of a failed condition, so a conflict takes two requests there. To
// run the suite on your account, in tables that it creates and deletes:
//
//	CARRYON_TEST_DYNAMODB=https://dynamodb.eu-central-1.amazonaws.com AWS_REGION=eu-central-1 go test -v -run TestConformance ./fallback/dynamostore
//
// # For users of connect-dynamodb
//
//	client                  the first argument of [New]
//	table                   Options.Table; "carryon_records" where it has "sessions"
//	hashKey                 none: the key is "id", of type B
//	prefix (hashPrefix)     none: programs may share a table, their ids never meet
//	readCapacityUnits,      none: [Store.Migrate] makes a table that is billed by
//	writeCapacityUnits      request; change BillingMode in what [CloudFormation] prints
//	initialize              [Store.Migrate]
//	reapInterval            none: DynamoDB removes expired items by itself (TTL)
//	specialKeys,            none: values are CBOR, sealed before the store sees them
//	skipThrowMissing...
//	AWSRegion, AWSConfig... config.LoadDefaultConfig, of the SDK
//	touchAfter              Config.Lifetimes.TouchAfter, decided without asking DynamoDB
//	  (connect-dynamodb-session)
//	ttl                     Config.Lifetimes.Absolute and Config.Lifetimes.Idle
//	all, ids                none: ids are hashes and the data is sealed
//	length, clear           [Store.Len], [Store.Clear]
package dynamostore
