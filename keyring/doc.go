// Package keyring holds the keys that seal sessions, and their schedule.
//
// A [Ring] is an immutable set of keys. Each [Key] passes through four states:
//
//   - staged: it opens cookies, but does not seal any yet
//   - active: it seals and opens
//   - retired: it only opens
//   - expired: it is gone
//
// A key can also be revoked by hand. The state follows from the time and the
// ring alone, so all replicas agree without talking to each other. A ring has
// exactly one active key at any time.
//
// [Keys] is a live ring that follows a [Source]:
//
//	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
//
// # Key management
//
// Create a ring with the carryon command, which never overwrites a file.
// Rotate it regularly, for example every month from cron:
//
//	carryon keys init session-keys.json
//	carryon keys rotate session-keys.json
//
// The new key is staged for one hour, so that every replica knows it before
// the first replica seals with it. The old key opens cookies for another 32
// days, so that rotation logs no one out. [Policy] sets both periods. Replicas
// that read the same file follow by themselves. All others need the new ring
// on their disk, in their secret manager or in their environment before the
// hour is over. A program can do the same with [Ring.Rotate] and
// [Ring.Marshal].
//
// Revoke a key that leaked ([Ring.Revoke]): every cookie that it sealed is
// void from then on. Anyone who has the ring can forge any session. Keep the
// ring in a file of mode 0600 or in a secret manager, never in a repository,
// an image or a log.
//
// # Wrapped rings
//
// A ring can also be stored encrypted, so that its file may be in a repository
// or an image, and only programs that may use the decryption key can read it.
// [Wrapped] reads such a ring, with a function that decrypts it.
//
// # Several replicas
//
// [Keys.FleetHandler] reports which ring a replica uses. With it, the command
// "carryon keys fleet" says whether every replica knows a staged key before that
// key seals.
//
// # A first experiment
//
// [Ephemeral] makes a key that ends with the process, and
// [DangerouslyFromText] derives one from a text. Neither is for production.
//
// # Time
//
// The states depend on the clocks of the replicas. A clock error smaller than
// the time for which keys are staged does no harm, because a staged key opens
// cookies that a replica with a faster clock sealed.
//
// # Reloading
//
// There is no background goroutine, because it would not run on a platform
// that freezes programs between requests. Instead, the first request after
// [ReloadEvery] reads the source again, under a time limit. All other requests
// use the current ring meanwhile. If the read fails, or if the new ring fails
// a check ([Keys.Require]), the last good ring stays in use and [OnReload] is
// called.
//
// # Keys that the ring does not have
//
// A cookie may carry the id of a key that the ring does not have. There are
// three possible reasons: the key is new and this replica has not seen it yet;
// the cookie belongs to another program on the same host and has the same
// name; or the ring was replaced. [Keys.Resolve] reads the source, within
// limits, and separates the first case from the other two.
package keyring
