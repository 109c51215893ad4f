// Package codec seals a session's bytes into text for a cookie, splits text
// that is too long for one cookie into pieces, and reverses both steps.
//
// A sealed value is encrypted (XAES-256-GCM) and then signed (HMAC-SHA-256)
// under two keys derived from one key of a [keyring.Ring]. It is bound to its
// cookie: under another name or for another audience it does not open. SPEC.md
// specifies the exact form and has test vectors.
//
// That is format 1, which is always available. [Formats] adds opt-in formats,
// such as those of codec/xchacha and codec/securecookieformat. The ring's key
// determines which format seals a value. [SealRecord] seals data for a store.
//
// The package is independent of HTTP, policy and sessions. It guarantees four
// properties. Nothing is parsed before it is authenticated, except the eight
// bytes of header that select the key. Every length is limited before memory
// is allocated. No key or format is tried out: the header names the key, and
// the key determines the format. No error contains the refused value.
//
// All functions are safe for concurrent use.
package codec
