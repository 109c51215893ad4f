//go:build !race

package formattest

const racing = false
