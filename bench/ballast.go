package bench

import "runtime"

// Ballast gives the process a heap of 64 MiB, like that of a small server, and
// returns a function that frees it. With a tiny heap, the collector runs each
// time 4 MB have been allocated, hundreds of times a second. Its cycles would
// dominate the measurement: each allocation would cost about twenty times as
// much as in a server. GOGC and other settings stay at their defaults.
func Ballast() (drop func()) {
	heap := make([]byte, 64<<20)
	return func() { runtime.KeepAlive(heap) }
}
