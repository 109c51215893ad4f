// Package fallbacktest is the conformance suite of [fallback.Store]. Run it
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
// To check an engine outside of tests, for example from a command, use
// [Check].
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

// Setup is the environment of one case. Only Store is required.
type Setup struct {
	// Store is the store to test. If it is a Counter or Clearer, it must be
	// empty; use a separate prefix or table.
	Store fallback.Store

	// Other is a second store over the same records, like that of another
	// replica. If it is nil, Store is used.
	Other fallback.Store

	// Now is the clock of the stores, and Advance moves it. If they are nil,
	// the suite uses time.Now and sleeps for some seconds in total.
	Now     func() time.Time
	Advance func(time.Duration)

	// Skewed returns a store over the same records whose clock is ahead by d.
	// If it is nil, clock error is not tested.
	Skewed func(d time.Duration) fallback.Store

	// Break makes the engine unreachable for Store, for example by closing its
	// connection. If it is nil, outages are not tested.
	Break func()

	// MaxRecord is the largest record in bytes that the engine accepts, if
	// that is less than fallback.MaxRecord. 0 means fallback.MaxRecord.
	MaxRecord int

	// DangerouslyLastWriterWins skips the race cases, for an engine that
	// cannot compare and swap atomically. Such a store loses concurrent
	// writes, and a late write can bring back a session after its logout.
	DangerouslyLastWriterWins bool
}

// Run runs every case as a subtest with its own setup.
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

// Check runs every case and returns the failures, or nil. It stops when ctx
// ends. Check calls open for each case and then the returned close function,
// if it is not nil.
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

// Clock is a clock that moves only when Advance is called. It is safe for
// concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows the current time.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
