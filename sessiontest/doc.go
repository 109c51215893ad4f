// Package sessiontest holds what a program's own tests need to test against
// sessions.
//
// [New] makes a session for a handler's test, without keys or cookies. Tests of a whole
// program put a session into a request with [Forge] and read what its response
// has left with [Left]; a [Jar] does both, and keeps and drops cookies as a
// browser does. A [Clock] is a time that only the test moves, also as replicas see
// it whose clocks differ. [Holds], [Lacks], [RefusedFor] and [SetsNoCookie] fail
// the test where things are otherwise.
package sessiontest
