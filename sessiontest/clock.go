package sessiontest

import (
	"sync"
	"time"
)

// Clock is a clock that moves only when a test advances it, for Config.Clock,
// Jar.Clock and fallback.MemoryConfig. The zero Clock starts at the time of
// its first use. Clock is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a Clock that shows the given time.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current()
}

// Advance moves the clock by d; a negative d moves it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.current().Add(d)
}

// Skewed returns the clock of a replica that is d ahead of this one, or behind
// it if d is negative. Carryon tolerates a difference of 30 seconds.
func (c *Clock) Skewed(d time.Duration) func() time.Time {
	return func() time.Time { return c.Now().Add(d) }
}

func (c *Clock) current() time.Time {
	if c.now.IsZero() {
		c.now = time.Now()
	}
	return c.now
}
