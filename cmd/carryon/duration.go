package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const aDay = 24 * time.Hour

// A duration is a flag that also takes days and weeks, in which people think of
// keys: 30d, 2w, and what Go has, 36h or 1h30m.
type duration time.Duration

func (d *duration) Set(s string) error {
	units := map[byte]time.Duration{'d': aDay, 'w': 7 * aDay}
	if n := len(s) - 1; n > 0 && units[s[n]] != 0 {
		count, err := strconv.ParseInt(s[:n], 10, 14) // 8191 weeks fit into a Duration
		unit := units[s[n]]
		if err != nil {
			return errDuration
		}
		*d = duration(time.Duration(count) * unit)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return errDuration
	}
	*d = duration(v)
	return nil
}

var errDuration = errors.New("a duration is like 90s, 36h, 30d or 2w")

func (d *duration) String() string { return span(time.Duration(*d)) }

// span writes a length of time shortly: 32d, 1h, 36h, 1h30m.
func span(d time.Duration) string {
	if d >= 2*aDay && d%aDay == 0 {
		return strconv.FormatInt(int64(d/aDay), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// roughly is span without what does not matter.
func roughly(d time.Duration) string {
	if d >= 2*aDay {
		return span(d.Truncate(aDay))
	}
	return span(d.Truncate(time.Minute))
}
