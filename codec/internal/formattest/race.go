//go:build race

package formattest

// The race detector drops pooled values on purpose.
const racing = true
