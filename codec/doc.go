// Package codec seals a session's bytes into text that fits a cookie, cuts
// that text into pieces where it is too long for one, and does both backwards.
//
// A sealed value is encrypted (XAES-256-GCM) and then signed (HMAC-SHA-256)
// under two keys derived from one key of a [keyring.Ring], and it is bound to
// the cookie it was made for: under another name, or for another audience, it
// does not open. SPEC.md has the form to the bit and test vectors.
//
// That is format 1, which every program has. [Formats] adds others, such as
// those of codec/xchacha and codec/securecookieformat; which one seals a value is
// a property of the ring's key. What goes into a store is sealed by [SealRecord].
//
// The package knows no HTTP, no policy and no session. It answers for four
// things: nothing is parsed before it is authenticated, apart from eight bytes
// of header that only choose the key; every length is bounded before anything
// is allocated; nothing is tried blindly, for the header names the key and the
// key fixes the format; and no error carries the value it refused.
//
// All functions are safe for concurrent use.
package codec
