// Package core holds the state of one request's session: what a fragment
// carries, how it is written and scanned, how the fragments that a browser
// holds are merged into one state, and what a handler has changed.
//
// Nothing here knows HTTP, keys or stores. Everything but [Core] is a plain
// value or a pure function, so that the model tests run the very functions
// that production runs. The rules are those of SPEC.md, section "The merge".
package core
