// Package dynamostore keeps records in a table of Amazon DynamoDB, through
// github.com/aws/aws-sdk-go-v2.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	client := dynamodb.NewFromConfig(cfg, dynamostore.ClientOptions)
//	store, err := dynamostore.New(client, dynamostore.Options{})
//	err = store.Migrate(ctx) // or what CloudFormation and Terraform print
//
// # Settings that matter
//
// [ClientOptions]: the SDK waits without limit for an answer, up to 2 seconds
// before it sends a throttled request again, and keeps 10 idle connections.
// Config.StoreTimeout ends a call in any case.
//
// Make the client once, when the program starts, and not for each request. In
// a Lambda that is outside of the handler: connections are there again after a
// freeze, and the SDK drops those that were idle for more than 90 seconds. One
// that died in between costs a second, and is tried again.
//
// The rights that a program needs are printed by [Policy]: four actions. It
// need not be allowed to create tables, or to scan them.
//
// # What it promises
//
// A call is one request for one item. Reads are strongly consistent, writes
// are conditional: DynamoDB compares and swaps. It acknowledges a write
// when two of three availability zones have it. A request that is sent again
// because its answer was lost does no harm: a Save that stands is a success. One
// that stood, and that another has followed meanwhile, is a conflict: its
// changes are then made once more, and a counter counts twice.
//
// What cannot be done, throttling included, is an error once the SDK has tried
// three times or the context has ended; it is never an answer about the record.
//
// Global tables: with eventual consistency between regions, which is their
// default, conditions see the own region only. Of two writes of one session in
// two regions within a second or so the later one stays, though both were
// acknowledged, and a write in one region can bring back what a logout in
// another has deleted. Send each visitor to one region, or choose strong
// consistency between regions (untested; it has no TTL).
//
// DAX: reads ask for strong consistency, which its caches do not serve. It
// costs and does not help.
//
// A table restored from a backup has sessions again that were ended since.
// Call [Store.Clear] before it serves: whoever has a session in it must log in anew.
//
// # Limits
//
// An item of DynamoDB has at most 400 KB. A record may have [MaxRecord] bytes,
// where other stores take 1 MiB; more is fallback.ErrTooLarge. It is not
// spread over several items: that could not be one step without
// transactions, which cost double.
//
// One item takes 3,000 read units and 1,000 write units a second, whatever the
// table may have: a session of 100 KB can be written 10 times a second.
//
// # What it costs
//
//	Load           a read unit for every 4 KB of the record, at least 1
//	Save           a write unit for every 1 KB, at least 1; where it conflicts, too
//	Touch          the same as a Save of that record: Config.TouchAfter makes it seldom
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
// What has expired is found by nobody, whether it was removed or not. An item
// that is none of these is an error, is not written over, and stays in a Clear;
// Delete deletes it.
//
// [Store.Check] tells of a table with another key, of a time to live that is off
// or looks at another attribute, and of replicas in other regions.
//
// Tested against dynalite 4, in continuous integration, and not against Amazon's
// DynamoDB. (DynamoDB Local is not open source.) dynalite cannot do UpdateTimeToLive, which [Store.Migrate]
// lets pass, and does not say what stands where a condition fails, so that a conflict there
// is two requests. To run the suite on your account, in tables that it creates
// and deletes:
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
//	touchAfter              Config.TouchAfter, decided without asking DynamoDB
//	  (connect-dynamodb-session)
//	ttl                     Config.Lifetime and Config.IdleTimeout
//	all, ids                none: ids are hashes and the data is sealed
//	length, clear           [Store.Len], [Store.Clear]
package dynamostore
