package state

import (
	"cmp"
	"time"
)

// The constants of SPEC.md, section "Time", in milliseconds.
const (
	// Window (W) is the longest time from the moment a browser builds a request's
	// Cookie header until it has stored the cookies of the response.
	Window = 5 * 60 * 1000
	// Skew (k) is the largest error of a replica's clock.
	Skew = 30 * 1000
	// Slack is how much the stamp of an entry may decrease when an older,
	// overlapping response lands last.
	Slack = Window + 2*Skew
	// Settled is the age at which a write has no effects left in flight: all
	// responses that overlapped it have landed, and every new request sees them.
	Settled = 3*Window + 4*Skew
)

// Stamp orders writes. At is in milliseconds since 1970, and greater than every
// time in the cookies of the request that writes. ID is drawn once for each request
// and orders writes of the same millisecond.
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
