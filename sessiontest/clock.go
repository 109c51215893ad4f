package sessiontest

import (
	"sync"
	"time"
)

// Clock is a time that only a test moves, for Config.Clock, Jar.Clock and
// fallback.MemoryConfig. The zero Clock begins at the time of its first use; it
// is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a Clock that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current()
}

// Advance moves the time; a negative d moves it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.current().Add(d)
}

// Skewed is the clock of a replica that goes d ahead of this one, or behind
// where d is negative: whatever this one shows. Carryon's guarantee allows for
// 30 seconds.
func (c *Clock) Skewed(d time.Duration) func() time.Time {
	return func() time.Time { return c.Now().Add(d) }
}

func (c *Clock) current() time.Time {
	if c.now.IsZero() {
		c.now = time.Now()
	}
	return c.now
}
