// Package sessiontest provides helpers for tests of programs that use
// sessions.
//
// For a test of one handler, [New] returns a session without keys or cookies.
// For a test of a whole program, [Forge] puts a session into a request, and
// [Left] returns the session after its response. A [Jar] does both, and keeps
// and drops cookies as a browser does. A [Clock] is a clock that only the test
// moves; it can also simulate replicas whose clocks differ. [Holds], [Lacks],
// [RefusedFor] and [SetsNoCookie] are assertions.
package sessiontest
