package state

import (
	"cmp"
	"time"
)

// The constants of SPEC.md, section "Time", in milliseconds.
const (
	// Window (W) is the longest time from a browser building a request's Cookie
	// header to its applying the response.
	Window = 5 * 60 * 1000
	// Skew (k) is the largest error of a replica's clock.
	Skew = 30 * 1000
	// Slack is how far the stamp of an entry may fall back because an older,
	// overlapping response lands last.
	Slack = Window + 2*Skew
	// Settled is the age at which everything that was in flight beside a write
	// has landed and has been seen by every request that loads now.
	Settled = 3*Window + 4*Skew
)

// A Stamp orders writes. At is in milliseconds since 1970 and greater than
// every time in the jar that the writing request brought. ID is drawn once for
// each request and separates writers of the same millisecond.
type Stamp struct {
	At int64
	ID uint32
}

// Compare returns a negative number if a is older than b, and a positive one if
// a is newer.
func (a Stamp) Compare(b Stamp) int {
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// After reports whether a is newer than b.
func (a Stamp) After(b Stamp) bool { return a.Compare(b) > 0 }

// Millis returns t in milliseconds since 1970.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// Time is the inverse of [Millis], in UTC.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
