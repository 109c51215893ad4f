//go:build !unix

package bench

import "time"

var start = time.Now()

// cpuTime is wall time where the process's own cannot be asked for.
func cpuTime() time.Duration { return time.Since(start) }
