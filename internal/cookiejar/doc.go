// Package cookiejar finds a program's session cookies in Cookie header lines,
// and writes Set-Cookie lines.
//
// It knows names, pieces and attributes, and nothing of what the values say.
package cookiejar
