// Package sessiontest holds what a program's own tests need to test against
// sessions: a [Jar] that keeps and drops cookies as a browser does.
package sessiontest
