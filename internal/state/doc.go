// Package state says what a session's cookies mean.
//
// A [Cookie] is the content of one sealed cookie: a head, which carries the
// session as of some time; a cell, which carries one entry that was written
// later; a logout; or a seen cookie, which carries only the time of the last
// use. [Read] merges the cookies of a request into a [View]. The rules are
// those of SPEC.md, section "Reading".
//
// Everything in this package is a plain value or a pure function. It knows no
// HTTP, no keys, no limits and no store.
package state
