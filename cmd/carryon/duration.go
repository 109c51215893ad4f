package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/span"
)

// A duration is a flag that also takes days and weeks, in which people think of
// keys: 30d, 2w, and what Go has, 36h or 1h30m. Days can be followed by what Go
// has, as in 90d2m.
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
	count, err := strconv.ParseInt(s[:i], 10, 14) // 8191 weeks fit into a Duration
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

var errDuration = errors.New("a duration is like 90s, 36h, 30d or 2w")

func (d *duration) String() string { return span.String(time.Duration(*d)) }

// roughly is span.String in whole days, or in whole minutes below two days.
func roughly(d time.Duration) string {
	if d >= 2*span.Day {
		return span.String(d.Truncate(span.Day))
	}
	return span.String(d.Truncate(time.Minute))
}
