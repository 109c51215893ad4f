// Package fallbacktest is what every [fallback.Store] must pass. Run it
// against the real engine:
//
//	func TestConformance(t *testing.T) {
//		fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
//			clock := fallbacktest.NewClock()
//			return fallbacktest.Setup{
//				Store:   mystore.New(connect(t), mystore.Options{Clock: clock.Now}),
//				Now:     clock.Now,
//				Advance: clock.Advance,
//			}
//		})
//	}
//
// Outside of tests, for a command that asks whether an engine will do, there
// is [Check].
package fallbacktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// Setup is what one case runs on. Only Store is needed.
type Setup struct {
	// Store is the store to test. It must be empty where it can be counted or
	// cleared; a prefix or a table of its own will do.
	Store fallback.Store

	// Other is a second store over the same records, as another replica has
	// it. Where it is nil, Store stands in for it.
	Other fallback.Store

	// Now is the clock that the stores read, and Advance moves it. Where they
	// are nil it is time.Now, and the suite sleeps for some seconds in all.
	Now     func() time.Time
	Advance func(time.Duration)

	// Skewed makes a store over the same records whose clock is ahead by d.
	// Where it is nil, clock error is not tested.
	Skewed func(d time.Duration) fallback.Store

	// Break makes the engine unreachable for Store, as by closing its
	// connection. Where it is nil, outages are not tested.
	Break func()

	// MaxRecord is how many bytes the engine takes, if that is fewer than
	// fallback.MaxRecord. 0 means fallback.MaxRecord.
	MaxRecord int

	// DangerouslyLastWriterWins says that the engine cannot compare and swap
	// in one step: the races are left out. Such a store loses writes that
	// meet, and a late one can bring back what a logout has deleted.
	DangerouslyLastWriterWins bool
}

// Run runs every case as a subtest, each on a setup of its own.
func Run(t *testing.T, open func(t *testing.T) Setup) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			if why := c.skip(s); why != "" {
				t.Skip(why)
			}
			if err := c.run(t.Context(), s); err != nil {
				t.Fatalf("%v\nwhy it matters: %s", err, c.why)
			}
		})
	}
}

// Check runs every case and returns what failed, or nil. It stops when ctx
// ends. open is called for each case; close, if not nil, when it is over.
func Check(ctx context.Context, open func() (s Setup, close func(), err error)) error {
	var failed []error
	for _, c := range cases {
		if err := check(ctx, c, open); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func check(ctx context.Context, c testCase, open func() (Setup, func(), error)) error {
	s, done, err := open()
	if err != nil {
		return err
	}
	if done != nil {
		defer done()
	}
	if c.skip(s) != "" {
		return nil
	}
	return c.run(ctx, s)
}

// Clock is a clock that stands still until it is moved. It is safe for
// concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock gives a clock that shows the present.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now says what time it is.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
