// Package carryon documents an HTTP session library that keeps sessions with
// the client: encrypted and HMAC-signed in cookies. The server stores nothing,
// and keys rotate without logging anyone out.
//
// The packages:
//
//   - session: the API for handlers
//   - middleware: adds sessions to any http.Handler
//   - keyring: the keys and their schedule
//   - codec: the sealed form
//   - reason: why a cookie or a session was refused, for all of them
//   - fallback: stores for sessions that are too large for cookies
//   - sessiontest: helpers for tests of programs that use sessions
//   - cmd/carryon: creates and rotates keys
//
// Start with the README. SPEC.md specifies the exact form and rules.
package carryon
