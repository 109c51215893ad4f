package core

import (
	"cmp"
	"time"
)

// Window is W of SPEC.md: the longest time, in milliseconds, that may pass
// between a browser building a request's Cookie header and its applying the
// response, if that response is to lose nothing. It only decides when
// tombstones and leftovers may be collected.
const Window = 5 * 60 * 1000

// Skew is s of SPEC.md: how far, in milliseconds, a replica's clock may be
// from true time.
const Skew = 30 * 1000

// Settled is the age, in milliseconds, at which everything that was in flight
// beside a write has landed and been seen by whoever loads now: 3W + 2s.
const Settled = 3*Window + 2*Skew

// Stamp orders writes. At is a hybrid clock in milliseconds since 1970, greater
// than any stamp that the writing request saw; ID is drawn once for a request
// and parts writers of the same millisecond.
type Stamp struct {
	At int64
	ID uint32
}

// Compare is negative where a is older than b, positive where it is newer.
func (a Stamp) Compare(b Stamp) int {
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// IsZero tells whether a is no stamp at all.
func (a Stamp) IsZero() bool { return a == Stamp{} }

func laterStamp(a, b Stamp) Stamp {
	if a.Compare(b) >= 0 {
		return a
	}
	return b
}

// Millis is t as this package counts time.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// Time is the inverse of [Millis], in UTC.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
