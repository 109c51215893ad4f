// Package carryon keeps an HTTP session with the client: encrypted and
// HMAC-signed into its cookies, so that no server stores anything, with keys
// that rotate without logging anyone out.
//
// The packages:
//
//   - session: what a handler types
//   - middleware: puts a session behind any http.Handler
//   - keyring: the keys and their schedule
//   - codec: the sealed form
//   - sessiontest: for the tests of programs that use sessions
//   - cmd/carryon: makes and rotates keys
//
// Start with the README; the exact form and rules are in SPEC.md.
package carryon
