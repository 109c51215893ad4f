package middleware

import (
	"sync"
	"time"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

// growths remembers what responses of this process have just added to sessions.
// A browser that sends many requests at once shows none of that to the others;
// each would find room for its own entry, and together they would lock the
// visitor out.
type growths struct {
	mu    sync.Mutex
	of    map[state.GenID]map[string]growth // by session and entry
	swept time.Time
}

// growth is what a response has last added under a name.
type growth struct {
	bytes int
	at    time.Time
}

// landingTime is how long a response is taken to be on its way. A request that
// began later has seen what it added, or the response was lost.
const landingTime = 10 * time.Second

// maxGrowths bounds the sessions that are remembered.
const maxGrowths = 1 << 14

// begin lists what other requests are adding to a session. Requests of one
// process decide one after another: end must follow.
func (c *growths) begin(v *state.View) (inFlight []policy.Growth) {
	c.mu.Lock()
	began := state.Time(v.Loaded)
	for name, g := range c.of[v.Winner.Root.GenID()] {
		if began.Before(g.at.Add(landingTime)) {
			inFlight = append(inFlight, policy.Growth{Name: name, Bytes: g.bytes})
		}
	}
	return inFlight
}

// end notes what a response adds to a session.
func (c *growths) end(v *state.View, added []policy.Growth, now time.Time) {
	defer c.mu.Unlock()
	if len(added) == 0 {
		return
	}
	c.sweep(now)
	gen := v.Winner.Root.GenID()
	if c.of == nil {
		c.of = map[state.GenID]map[string]growth{}
	}
	if c.of[gen] == nil {
		c.of[gen] = make(map[string]growth, len(added))
	}
	for _, g := range added {
		c.of[gen][g.Name] = growth{g.Bytes, now}
	}
}

// sweep forgets what has landed, once in a while, and everything if that is too
// much.
func (c *growths) sweep(now time.Time) {
	if now.Sub(c.swept) < landingTime && len(c.of) < maxGrowths {
		return
	}
	c.swept = now
	for gen, made := range c.of {
		for name, g := range made {
			if now.Sub(g.at) >= landingTime {
				delete(made, name)
			}
		}
		if len(made) == 0 {
			delete(c.of, gen)
		}
	}
	if len(c.of) >= maxGrowths {
		c.of = nil
	}
}
