// Package core holds the session of one request: the view that was loaded, and the
// handler's changes.
//
// It is independent of HTTP, keys and stores. A [Backend] loads and saves for it.
package core
