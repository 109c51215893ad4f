package bench

import "runtime"

// Ballast gives the process a heap like a small server's, 64 MiB, and returns
// the function that lets it go. Without it the collector runs each time that
// 4 MB have been allocated, hundreds of times a second, and what is measured is
// the length of its cycle: every contestant pays for it by what it allocates,
// as in a server, but twenty times over. GOGC and all else stay as they are.
func Ballast() (drop func()) {
	heap := make([]byte, 64<<20)
	return func() { runtime.KeepAlive(heap) }
}
