// Package core holds one request's session while a handler works with it: the
// view that was loaded, and what the handler has changed.
//
// It knows no HTTP, keys or stores. A [Backend] loads and saves for it.
package core
