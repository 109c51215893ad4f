package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/span"
)

// A duration is a flag that accepts days and weeks (30d, 2w), the durations of
// Go (36h, 1h30m), and days or weeks followed by a duration of Go (90d2m).
type duration time.Duration

func (d *duration) Set(s string) error {
	i := strings.IndexAny(s, "dw")
	if i < 0 {
		v, err := time.ParseDuration(s)
		if err != nil {
			return errDuration
		}
		*d = duration(v)
		return nil
	}
	count, err := strconv.ParseInt(s[:i], 10, 14) // 8191 weeks fit into a time.Duration
	if err != nil {
		return errDuration
	}
	whole := time.Duration(count) * map[byte]time.Duration{'d': span.Day, 'w': 7 * span.Day}[s[i]]
	if s = s[i+1:]; s == "" {
		*d = duration(whole)
		return nil
	}
	rest, err := time.ParseDuration(s)
	if err != nil || rest < 0 || rest >= span.Day || s[0] == '+' || whole < 0 {
		return errDuration
	}
	*d = duration(whole + rest)
	return nil
}

var errDuration = errors.New("write a duration as in 90s, 36h, 30d or 2w")

func (d *duration) String() string { return span.String(time.Duration(*d)) }

// roughly formats a duration in whole days, or in whole minutes if it is below
// two days.
func roughly(d time.Duration) string {
	if d >= 2*span.Day {
		return span.String(d.Truncate(span.Day))
	}
	return span.String(d.Truncate(time.Minute))
}
