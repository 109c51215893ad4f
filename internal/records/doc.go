// Package records keeps sessions, and the endings of sessions, in a store.
//
// A [Keeper] holds what a program has configured, and remembers for a while what
// the store has said of endings. A [Desk] is one request's dealings with it. This
// is the only package below the middleware that does I/O.
package records
