package middleware

import (
	"sync"
	"time"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

// entriesInFlight records the entries that responses of this process have just
// added to sessions. Parallel requests of one browser do not carry each other's new
// entries. Without the record, each would add its own entry within the limits, and
// the browser's next request would exceed them.
type entriesInFlight struct {
	mu      sync.Mutex
	entries map[state.GenID]map[string]entryInFlight // by generation and entry name
	swept   time.Time
}

// entryInFlight is an entry that a response has added.
type entryInFlight struct {
	bytes int
	at    time.Time
}

// flightTime is how long a response is assumed to be in flight. A request that
// begins later carries the new entry, unless the response was lost.
const flightTime = 10 * time.Second

// maxInFlight is the maximum number of sessions in the record.
const maxInFlight = 1 << 14

// begin returns the entries that other requests are adding to a session. It locks
// the record until end is called, so that requests of one process decide one after
// another.
func (c *entriesInFlight) begin(v *state.View) (inFlight []policy.Growth) {
	c.mu.Lock()
	began := state.Time(v.Loaded)
	for name, e := range c.entries[v.Winner.Root.GenID()] {
		if began.Before(e.at.Add(flightTime)) {
			inFlight = append(inFlight, policy.Growth{Name: name, Bytes: e.bytes})
		}
	}
	return inFlight
}

// end records the entries that a response adds to a session, and unlocks the record.
func (c *entriesInFlight) end(v *state.View, added []policy.Growth, now time.Time) {
	defer c.mu.Unlock()
	if len(added) == 0 {
		return
	}
	c.sweep(now)
	gen := v.Winner.Root.GenID()
	if c.entries == nil {
		c.entries = map[state.GenID]map[string]entryInFlight{}
	}
	if c.entries[gen] == nil {
		c.entries[gen] = make(map[string]entryInFlight, len(added))
	}
	for _, g := range added {
		c.entries[gen][g.Name] = entryInFlight{g.Bytes, now}
	}
}

// sweep removes the entries that are no longer in flight, at most once in each
// flightTime unless the record is full. If it is still full after that, sweep
// removes everything.
func (c *entriesInFlight) sweep(now time.Time) {
	if now.Sub(c.swept) < flightTime && len(c.entries) < maxInFlight {
		return
	}
	c.swept = now
	for gen, added := range c.entries {
		for name, e := range added {
			if now.Sub(e.at) >= flightTime {
				delete(added, name)
			}
		}
		if len(added) == 0 {
			delete(c.entries, gen)
		}
	}
	if len(c.entries) >= maxInFlight {
		c.entries = nil
	}
}
