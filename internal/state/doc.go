// Package state encodes the contents of session cookies and merges them into a
// session.
//
// A [Cookie] is the content of one sealed cookie. A head carries the session as
// of some time, and a cell carries one entry that was written later. A logout
// ends a session, and a seen cookie carries only the time of the last use.
// [Read] merges the cookies of a request into a [View]. SPEC.md, section
// "Reading", defines the rules.
//
// The package has only plain values and pure functions. It does not depend on
// HTTP, keys, limits or a store.
package state
