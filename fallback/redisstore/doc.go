// Package redisstore stores records in Redis or Valkey: a single server,
// Sentinel, or a Cluster. It uses github.com/redis/go-redis/v9.
//
//	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{"10.0.0.1:6379"}})
//	store, err := redisstore.New(client, redisstore.Options{})
//
// [NewClient] accepts the same options as redis.NewUniversalClient and sets
// what sessions need. If you create the client yourself, read the next
// section.
//
// # Important settings
//
// By default, the client of a Cluster reloads the cluster's state only when a
// node tells it to, and every ClusterStateReloadInterval, 60 seconds. A dead
// master tells nothing, so its keys fail for a minute, although a replica
// takes over after two seconds. The client also tries five times to connect to
// a dead node before it asks another one (DialerRetries). Measured with a
// master killed under load: 59 seconds of errors with the defaults, 2.5
// seconds with [ClusterOptions].
//
// Do not read from replicas (ReadOnly, RouteByLatency, RouteRandomly), because
// they return outdated records. [New] refuses such a client if it can detect
// it.
//
// Set maxmemory-policy to noeviction. When memory runs out, every other policy
// drops logouts and revocations, and stolen copies work again. That includes
// the volatile policies, because every key of this package has an expiry.
// Managed Redis often uses volatile-lru. [Store.Check] reports the policy, the
// persistence, and the version.
//
// Redis 6.2 or later is required (SET with PXAT), or Valkey.
//
// # Access control
//
// The minimal ACL for a program that does not call Len, Clear or Check:
//
//	ACL SETUSER carryon on >PASSWORD ~carryon:* resetchannels +get +getrange +set +setrange +pexpireat +unlink +eval +evalsha
//
// Len and Clear also need +scan. Check needs +info (and +config|get, to read
// appendfsync). Options.Replicas needs +wait. A Cluster needs +cluster|slots
// and, while slots move, +asking. Without a required command, writes fail and
// leave no key that would never expire.
//
// # Guarantees
//
// A call is one command on one key: GET to read, a script to write. So a
// Cluster needs no hash tags. The client may repeat a script whose answer was
// lost; that does no harm.
//
// Redis acknowledges a write before its replicas and its disk have it. A
// failover can lose about the last second of writes, unless Options.Replicas
// waits for a replica. A restart loses the writes that appendfsync has not yet
// written; with appendfsync always, it loses nothing. A record then has its
// earlier state, never a mix of two writes, and a caller with a newer revision
// gets fallback.ErrConflict.
//
// Each key expires one minute after its record, for replicas whose clocks are
// behind. An expired record is never returned during that minute.
//
// # What is stored
//
// Under Prefix + id, a string: "c1", the revision's number (8 bytes, big
// endian) and tag (16 bytes), the expiry in milliseconds since 1970 as 16
// decimal digits, and the sealed data.
//
// # For users of connect-redis
//
//	client          the first argument of [New], of any kind: see NewClient
//	prefix          Options.Prefix; "carryon:" where connect-redis has "sess:"
//	ttl             Config.Lifetimes.Absolute and Config.Lifetimes.Idle; not the store's to decide
//	disableTTL      none: each key expires, and so does each session
//	disableTouch    Config.Lifetimes.Idle below 0. Config.Lifetimes.TouchAfter touches rarely,
//	                without asking Redis whether it is time
//	serializer      none: values are CBOR, sealed before the store sees them
//	scanCount       none: [Store.Len] and [Store.Clear] scan by themselves
//	length, clear   [Store.Len], [Store.Clear]
//	all, ids        none: ids are hashes and the data is sealed
package redisstore
