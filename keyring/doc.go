// Package keyring holds the keys that seal sessions, and their schedule.
//
// A [Ring] is a set of keys that never changes. Each [Key] is staged (it opens,
// and does not seal yet), then active (it seals), then retired (it only
// opens), then expired (it is gone); or it is revoked by hand. Which of these
// it is follows from the time and the ring alone, so that all replicas agree
// without talking to each other. A ring has exactly one active key at any
// time.
//
// [Keys] is a live ring that follows a [Source]:
//
//	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
//
// # Key management
//
// Make a ring with the command, which never overwrites a file, and rotate it
// from time to time, for example every month by cron:
//
//	carryon keys init session-keys.json
//	carryon keys rotate session-keys.json
//
// The new key is staged for an hour, so that every replica knows it before
// the first one seals with it; the old one opens for 32 days more, so that no
// one is logged out. Both are set in [Policy]. Replicas that read the same
// file follow by themselves; others need the new ring on their disk, in their
// secret manager or in their environment before the hour is over. A program
// can do the same with [Ring.Rotate] and [Ring.Marshal].
//
// A key that leaked is revoked ([Ring.Revoke]): what it sealed is void from
// then on. Anyone who has the ring can make any session: keep it in a file of
// mode 0600 or in a secret manager, not in a repository, an image or a log.
//
// # Time
//
// The states depend on the clocks of the replicas. A clock that is wrong by
// less than the time for which keys are staged does no harm: a staged key
// opens what a replica with a faster clock seals.
//
// # Reloading
//
// There is no background goroutine: it would not run on a platform that
// freezes a program between requests. A request that finds the last look at
// the source too old looks again, under a time limit, while all others go on
// with the ring at hand. If that fails, or if the new ring does not pass what
// the program asks of it ([Keys.Require]), the last good ring stays; [OnReload]
// is told.
//
// # Keys that the ring does not have
//
// A cookie may carry the id of a key that the ring does not have. Either that
// key is new, and this replica has not seen it yet; or it belongs to another
// program on the same host whose cookie has the same name; or its ring was
// replaced. [Keys.Resolve] reads the source, within limits, and tells the first
// from the others.
package keyring
