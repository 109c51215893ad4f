// Package cookiejar finds a program's session cookies in Cookie header lines and
// writes Set-Cookie lines.
//
// It handles names, pieces and attributes. It does not open the values.
package cookiejar
