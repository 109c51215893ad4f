//go:build !unix

package bench

import "time"

var start = time.Now()

// cpuTime returns the wall time, because this system does not report CPU time.
func cpuTime() time.Duration { return time.Since(start) }
