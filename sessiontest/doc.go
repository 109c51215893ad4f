// Package sessiontest holds what a program's own tests need to test against
// sessions: [New] makes a session for a handler's test, and a [Jar] keeps and
// drops cookies as a browser does.
package sessiontest
