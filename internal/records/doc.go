// Package records loads and saves session records in a store, and revokes
// sessions.
//
// A [Client] holds a program's configuration of the store and caches which
// sessions were ended. An [Access] is one request's use of the client. This is
// the only package below the middleware that does I/O.
package records
