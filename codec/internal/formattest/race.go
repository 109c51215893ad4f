//go:build race

package formattest

// The race detector makes pools forget on purpose.
const racing = true
