// Package redisstore keeps records in Redis (or Valkey): a single server, one
// behind Sentinel, or a Cluster, through github.com/redis/go-redis/v9.
//
//	client := redisstore.NewClient(&redis.UniversalOptions{Addrs: []string{"10.0.0.1:6379"}})
//	store, err := redisstore.New(client, redisstore.Options{})
//
// [NewClient] takes what redis.NewUniversalClient takes, and sets what
// sessions need; who makes a client otherwise should read on.
//
// # Settings that matter
//
// A Cluster's client reads anew which node has what only when a node tells it
// to, and every ClusterStateReloadInterval: 60 seconds. A master that died
// tells nothing, so that its keys fail for a minute, though a replica has taken
// over after two seconds. And it tries five times to connect to a dead
// node before it asks another: DialerRetries. Measured, with a master killed
// under load: 59 seconds of errors with the defaults, 2.5 with what
// [ClusterOptions] sets.
//
// A client that reads from replicas (ReadOnly, RouteByLatency,
// RouteRandomly) gives states that are over: [New] refuses those it can see.
//
// Redis must not evict: set maxmemory-policy to noeviction. When memory is
// short, every other policy drops logouts and revocations, and stolen copies
// work again: the volatile policies too, for every key of this package has an
// expiry. Managed Redis often starts with volatile-lru. [Store.Check] reports the
// policy, what is kept on disk, and the version.
//
// Redis 6.2 or later is needed (SET with PXAT), or Valkey.
//
// # Access control
//
// The smallest ACL for a program that calls neither Len, Clear nor Check:
//
//	ACL SETUSER carryon on >PASSWORD ~carryon:* resetchannels +get +getrange +set +setrange +pexpireat +unlink +eval +evalsha
//
// Len and Clear need +scan as well, Check needs +info (and +config|get, to see
// appendfsync), Options.Replicas needs +wait, and a Cluster +cluster|slots and,
// while slots move, +asking. With fewer commands a write is an error, and leaves
// no key behind that would stay for ever.
//
// # What it promises
//
// A call is one command on one key, so that a Cluster needs no hash tags:
// GET to read, one script to write. The client may send a script again when
// its answer was lost; that does no harm.
//
// Redis acknowledges before its replicas and its disk have the write. A
// failover can lose the last writes of about a second, unless Options.Replicas
// waits for a replica to have them; a restart loses what appendfsync has not
// put on disk, with always nothing. The record is then as it was before,
// never a mix; whoever holds a newer revision gets fallback.ErrConflict.
//
// Each key has an expiry of its own, a minute after the record's, for replicas
// whose clocks are behind; what has expired is found by nobody meanwhile.
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
//	ttl             Config.Lifetime and Config.IdleTimeout; not the store's to decide
//	disableTTL      none: each key expires, and so does each session
//	disableTouch    Config.IdleTimeout below 0. Config.TouchAfter touches seldom,
//	                without asking Redis whether it is time
//	serializer      none: values are CBOR, sealed before the store sees them
//	scanCount       none: [Store.Len] and [Store.Clear] scan by themselves
//	length, clear   [Store.Len], [Store.Clear]
//	all, ids        none: ids are hashes and the data is sealed
package redisstore
